"""The log that only grows, and its tree."""
