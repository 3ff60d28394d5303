"""Pure data: what Watchfloor knows, as immutable structs. Standard library and msgspec only."""
