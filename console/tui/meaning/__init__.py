"""What pictures and events mean, in words and numbers: pure functions and small memories."""
