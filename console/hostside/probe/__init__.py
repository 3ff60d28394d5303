"""The probe: reads the state of one host and writes frames (docs/protocol.md). Changes nothing.

Standard library of Python 3.8 only, relative imports only: the same files run from a package, from
a root-owned folder, and from memory (``console/ssh/payload.py``).
"""

VERSION = "0.1.0"
