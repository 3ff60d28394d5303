"""Makes the script that sets a host up for watching. It never runs anything anywhere."""
