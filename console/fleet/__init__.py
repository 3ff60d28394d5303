"""One live session per host: reconnect, decode, deltas, history. Frames may come from any link."""
