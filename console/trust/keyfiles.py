"""Public key files and signature files, as people hand them in."""

import os
from pathlib import Path

from console.errors import UsageError
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import sshsig
from console.text import clean

MAX_FILE = 64 << 10


def public_key(path: Path) -> str:
    """``kind base64`` of the one key in a ``.pub`` file. Raises UsageError."""
    text = read(path).decode("utf-8", "replace").strip()
    if "PRIVATE KEY" in text:
        raise UsageError("is a private key", where=str(path), hint="Name the public one: FILE.pub.")
    line = " ".join(text.split()[:2])
    if "\n" in text:
        raise UsageError("holds more than one key", where=str(path))
    try:
        sshsig.key(sshsig.key_line(line))
    except Refused as refused:
        raise UsageError(f"is no signing key: {refused.words}", where=str(path)) from None
    return line


def signature(path: Path) -> str:
    """An armored signature, in the one form that hosts take. Raises UsageError."""
    text = read(path).decode("ascii", "replace")
    try:
        sshsig.parse(text)
    except Refused as refused:
        raise UsageError(f"is no signature: {refused.words}", where=str(path)) from None
    return text


def beside(document: Path) -> list[Path]:
    """Signature files of a document: ``FILE.sig`` and ``FILE.*.sig``, sorted."""
    names = [name for name in os.listdir(document.parent or Path())
             if name.startswith(document.name + ".") and name.endswith(".sig")]  # fmt: skip
    return [document.parent / name for name in sorted(names)]


def read(path: Path, limit: int = MAX_FILE) -> bytes:
    """A small file. Raises UsageError."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        said = clean(error.strerror or "cannot be read")
        raise UsageError(said, where=clean(str(path), 300)) from None
    if len(data) > limit:
        raise UsageError(f"is larger than {limit >> 10} KiB", where=clean(str(path), 300))
    return data
