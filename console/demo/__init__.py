"""The embedded fleet: real SSH servers on loopback with a simulated fleet and an incident."""
