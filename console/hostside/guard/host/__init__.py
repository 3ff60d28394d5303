"""What actions on accounts, services, packages and evidence know of a host."""
