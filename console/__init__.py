"""Watchfloor: the on-call console for AI inference hosts."""

__version__ = "0.1.0"
