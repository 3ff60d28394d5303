"""Packs what is installed on a host, the same bytes for the same files.

Standard library only, because ``scripts/bundle`` runs it without the project's environment.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile

from .probe.sources import read_tree

PACKAGE = "watchfloor_probe"
GUARD_PACKAGE = "watchfloor_guard"
SHEBANG = b"#!/usr/bin/python3 -ISB\n"
EFFECTORS = ("real", "simulated")
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


def tarred(contents: dict[str, bytes]) -> bytes:
    """A tar of ``contents``, owned by root, without times."""
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
    return raw.getvalue()


def archive(contents: dict[str, bytes]) -> bytes:
    """The same, compressed by gzip."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=9, mtime=0, filename="") as out:
        out.write(tarred(contents))
    return packed.getvalue()


def guard(effector: str = "real", base: str = "") -> bytes:
    """The guard as one program: an archive of its modules behind a first line for the kernel.

    ``effector`` and ``base`` are compiled in, so that another build is another file with another
    digest. Only a simulated guard may live below a ``base``. Raises ValueError.
    """
    if effector not in EFFECTORS or (base and effector == "real"):
        raise ValueError("a real guard has no base folder, and there is no other effector")
    if base and (
        not base.startswith("/") or not base.isprintable() or os.path.realpath(base) != base
    ):
        raise ValueError("the base folder is no plain absolute path")
    found = read_tree(os.path.join(_HERE, "guard"))
    start = found.pop("start.py")
    line = b'BASE = ""'
    if start.count(line) != 1:
        raise ValueError("start.py has not the one line that says where the base is")
    start = start.replace(line, f"BASE = {base!r}".encode())
    built = f'"""What this build is."""\n\nEFFECTOR = {effector!r}\nBASE = {base!r}\n'
    found["built.py"] = built.encode()
    modules = {f"{GUARD_PACKAGE}/{path}": data for path, data in found.items()}
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as out:
        _member(out, "__main__.py", start, zipfile.ZIP_DEFLATED)
        # As one piece it is half as long as module by module, so that it fits an envelope.
        _member(out, "modules.tar", tarred(modules), zipfile.ZIP_BZIP2)
    return SHEBANG + raw.getvalue()


def _member(out: zipfile.ZipFile, name: str, data: bytes, how: int) -> None:
    entry = zipfile.ZipInfo(name)  # of 1980, as zip has no earlier time
    entry.external_attr = 0o644 << 16
    entry.create_system = 3
    out.writestr(entry, data, how, 9)


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]
