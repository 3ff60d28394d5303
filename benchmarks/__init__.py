"""What Watchfloor costs, each figure as a ratio with its comparison measured in the same run."""
