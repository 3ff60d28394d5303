"""An evidence pack read as foreign bytes: what its signed manifest says, and whether it is so.

The format is narrow (``hostside/guard/host/pack.py`` writes it): plain members of a tar, the
manifest first, nothing else. So it is read here header by header, within bounds; an archive that
needs more than that is not one of a guard.
"""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec

from console.errors import ActionError
from console.hostside.guard.host.evidence import PART_BYTES, PARTS
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical
from console.text import clean
from console.trust import verify

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 16
MAX_MANIFEST = 64 << 10
MAX_SIGNATURE = 4096
MAX_REST = 64 << 10
"""Bytes of zeros after the last member."""


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    size: int
    sha256: str
    cut: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the host signed about a pack."""

    kind: str
    v: int
    name: str
    host_id: str
    boot_id: str
    begun: int
    ended: int
    since_s: int
    parts: list[_Part]


def check(file: BinaryIO, name: str, host_id: str, key: bytes) -> Manifest:
    """The manifest of the pack in ``file``, whose signature by the audit key ``key`` (an SSH blob)
    and whose every part's size and sha256 were verified.

    ``name`` is that of the pack and ``host_id`` the host's; empty where it is not known. Raises
    ActionError.
    """
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as packed:
            return _read(packed, name, host_id, key)
    except (OSError, EOFError, zlib.error, tarfile.HeaderError, UnicodeError) as error:
        raise _bad(f"it cannot be unpacked ({clean(str(error), 100)})") from None


def _bad(why: str) -> ActionError:
    return ActionError(
        f"the evidence is not what the host signed: {why}",
        hint="Keep it as it is and look at the host: somebody may have changed it there.",
        rule="evidence",
    )


def _read(packed: gzip.GzipFile, name: str, host_id: str, key: bytes) -> Manifest:
    prefix = name.removesuffix(".tar.gz") + "/"
    data = b"".join(_member(packed, prefix + "manifest.json", MAX_MANIFEST))
    signature = b"".join(_member(packed, prefix + "manifest.json.sig", MAX_SIGNATURE))
    try:
        verify.by_host(data, signature.decode("ascii"), "evidence", key)
    except Refused as refused:
        raise _bad(f"its manifest: {refused.words}") from None
    manifest = _manifest(data)
    if manifest.name != name:
        raise _bad("it is the pack of another request")
    if host_id and manifest.host_id != host_id:
        raise _bad("it is of another host")
    for part in manifest.parts:
        whole, size = hashlib.sha256(), 0
        for piece in _member(packed, prefix + part.name, PART_BYTES):
            whole.update(piece)
            size += len(piece)
        if (size, whole.hexdigest()) != (part.size, part.sha256):
            raise _bad(f"the part {part.name} is another one")
    rest = packed.read(MAX_REST + 1)
    if len(rest) > MAX_REST or rest.strip(b"\0"):
        raise _bad("there is more in it than its manifest names")
    return manifest


def _manifest(data: bytes) -> Manifest:
    try:
        found: Any = msgspec.json.decode(data)
        manifest = msgspec.convert(found, Manifest)
        same = canonical.write(found) == data
    except (msgspec.MsgspecError, Refused, RecursionError):
        raise _bad("its manifest is none") from None
    names = [part.name for part in manifest.parts]
    if not same or manifest.kind != "evidence" or manifest.v != 1:
        raise _bad("its manifest is none")
    if len(set(names)) != len(names) or not set(names) <= set(PARTS):
        raise _bad("its manifest names other parts than there are")
    return manifest


def _member(packed: gzip.GzipFile, name: str, limit: int) -> Iterator[bytes]:
    """The bytes of the next member, which must be this one."""
    about = tarfile.TarInfo.frombuf(_exactly(packed, BLOCK), "utf-8", "strict")
    if about.name != name or about.type != tarfile.REGTYPE or not 0 <= about.size <= limit:
        raise _bad("its members are not those of a pack, in their order")
    left = about.size
    while left:
        piece = _exactly(packed, min(CHUNK, left))
        left -= len(piece)
        yield piece
    _exactly(packed, -about.size % BLOCK)


def _exactly(packed: gzip.GzipFile, size: int) -> bytes:
    data = packed.read(size)
    if len(data) != size:
        raise EOFError("it ends too early")
    return data
