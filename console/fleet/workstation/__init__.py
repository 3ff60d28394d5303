"""This machine as a row of its own: privileged work starts from it."""
