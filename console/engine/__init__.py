"""Wires a session together; the only door that screens and verbs use."""
