"""What hosts did, proved: checkpoints that were witnessed, logs that are verified."""
