"""Packs what is installed on a host into one archive, the same bytes for the same files.

Standard library only, because ``scripts/bundle`` runs it without the project's environment.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile

from .probe.sources import read_tree

PACKAGE = "watchfloor_probe"
_HERE = os.path.dirname(os.path.abspath(__file__))


def files(binding: bytes | None = None) -> dict[str, bytes]:
    """Contents by path below the folder of the installation.

    ``binding`` is the NVML binding (``pynvml.py``), sent along where it is known.
    """
    found = {
        f"{PACKAGE}/{path}": data for path, data in read_tree(os.path.join(_HERE, "probe")).items()
    }
    for name in ("start.py", "confine.py", "relay.py", "firewall.py"):
        with open(os.path.join(_HERE, "sensor", name), "rb") as handle:
            found[name] = handle.read()
    if binding is not None:
        found["pynvml.py"] = binding
    return found


def archive(contents: dict[str, bytes]) -> bytes:
    """A gzip-compressed tar of ``contents``, owned by root, without times."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in sorted({part for path in contents for part in _folders(path)}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path in sorted(contents):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(contents[path]), 0o644
            tar.addfile(entry, io.BytesIO(contents[path]))
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0, filename="") as out:
        out.write(raw.getvalue())
    return packed.getvalue()


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]
