"""Plugins: read and pinned as bytes, run in a confined process each, believed in nothing."""
