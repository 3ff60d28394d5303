"""Addresses, rules and connections: everything that isolates."""
