"""What the guard remembers between two calls, and how it gets from one state to the next."""
