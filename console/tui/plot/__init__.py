"""History as characters: folding, scales, drawing. Pure functions; nothing here asks an engine."""
