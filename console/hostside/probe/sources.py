"""The probe's own files: which they are, and one digest over all of them.

The digest is the same for a probe sent over SSH and for one installed on the host, so that both
can be compared with what a release ships.
"""

from __future__ import annotations

import os

from .digest import sha256_hex
from .place import slurp_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def read_tree(folder: str) -> dict[str, bytes]:
    """All ``*.py`` below ``folder`` by relative path with ``/``."""
    found: dict[str, bytes] = {}
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(where, name)
                found[os.path.relpath(path, folder).replace(os.sep, "/")] = slurp_all(path)
    return found


def sha256_of(files: Mapping[str, bytes]) -> str:
    """Hexadecimal digest over names and contents, in the order of the names."""
    joined = bytearray()
    for name in sorted(files):
        head = f"{name} {len(files[name])}\n"
        joined += head.encode() + files[name]
    return sha256_hex(bytes(joined))
