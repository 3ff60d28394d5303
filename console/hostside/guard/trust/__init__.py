"""Documents, signatures, people and policy: what is believed, and why."""
