"""Layered TOML: hosts and settings, each value with the place it came from."""
