"""What tiers 1 and 2 install beside the probe. Each file runs by itself: standard library only."""
