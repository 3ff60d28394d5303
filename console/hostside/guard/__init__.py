"""The guard: the only thing that changes a host, after it has verified two people itself.

Standard library, Python 3.8. ``scripts/bundle`` packs this folder into one installable file. The
console imports from here what both sides must see alike: canonical documents, plans and words.
"""
