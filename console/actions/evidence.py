"""Evidence taken from a host: fetched in parts, verified, written, and its custody kept."""

import asyncio
import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from console.actions import pack
from console.actions.around import Around, Witness
from console.actions.ask import ask as ask_guard
from console.actions.decide import fetch as fetch_document
from console.actions.decide import signed
from console.actions.files import write
from console.errors import ActionError, ProtocolError, WatchfloorError
from console.hostside.guard.trust.sshsig import fingerprint
from console.model.guard import Ask, Custody
from console.model.host import Host
from console.text import clean

MAX_PACK = 1 << 30
MAX_PART = 1 << 20
_HEX = frozenset("0123456789abcdef")


async def fetch(
    around: Around, host: Host, skew_s: float, request: str, folder: Path, ask: Ask
) -> Custody:
    """Take the evidence of a request into ``folder`` by one signature; who has it from where.

    What came before a lost link is kept and gone on from. ``skew_s``: the host's clock less ours.
    Raises ActionError where it is not what the host signed, and LinkError.
    """
    witness = around.witness
    pinned = witness.pinned(host.name) if witness is not None else None
    if witness is None or pinned is None:
        raise ActionError(
            "no audit key of this host is known here, so nothing could be verified",
            where=host.name,
            hint="Enrol it from this console, or look at it once with `watchfloor audit verify`.",
            rule="audit-key",
        )
    now = int(around.clock.wall() + skew_s)
    document = fetch_document(around, request, now)
    data, signature = await signed(around, document, uv=False, now=now, ask=ask)
    number = witness.sent(host.name, "fetch", request, data, signature.encode())
    fields = {"fetch": data.decode(), "signature": signature}
    try:
        custody = await _taken(around, host, request, folder, fields, pinned[0])
    except WatchfloorError as error:
        if not isinstance(error, ActionError) or error.rule not in ("evidence", "folder"):
            _answered(witness, number, {"ok": False, "words": clean(str(error), 400)})
            raise
        # The host gave it out, so its log has the document; what came was not kept.
        _answered(witness, number, {"ok": True, "id": request, "words": clean(str(error), 400)})
        raise
    told = {"ok": True, "id": request, "custody": msgspec.to_builtins(custody)}
    _answered(witness, number, told)
    return custody


def _answered(witness: Witness, number: int, told: Mapping[str, Any]) -> None:
    witness.answered(number, msgspec.json.encode(told))


async def _taken(
    around: Around,
    host: Host,
    request: str,
    folder: Path,
    fields: Mapping[str, str],
    key: bytes,
) -> Custody:
    name = f"{request}.tar.gz"
    target = folder / f"{clean(host.name, 100).replace('/', '_')}-{request[:12]}.tar.gz"
    part = target.with_name(f".{target.name}.part")
    with _open(part) as file:
        digest = await _fill(around, host, name, fields, file)
        await asyncio.to_thread(_verify, file, part, digest, name, host.guard_id, key)
        size = os.fstat(file.fileno()).st_size
    custody = Custody(
        host=host.name, host_id=host.guard_id, id=request, by=around.person,
        workstation=around.workstation, at=around.clock.wall(), size=size, sha256=digest,
        signed_by=fingerprint(key), file=str(target),
    )  # fmt: skip
    try:
        os.replace(part, target)
    except OSError as error:
        raise _folder(target, error) from None
    write(Path(f"{target}.custody.json"), msgspec.json.format(msgspec.json.encode(custody)) + b"\n")
    return custody


def _open(part: Path) -> BinaryIO:
    try:
        part.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.fdopen(os.open(part, flags, 0o600), "r+b")
        os.fchmod(file.fileno(), 0o600)
    except OSError as error:
        raise _folder(part, error) from None
    return file


def _folder(path: Path, error: OSError) -> ActionError:
    why = clean(error.strerror or "cannot be written")
    return ActionError(why, where=clean(str(path), 300), rule="folder")


async def _fill(
    around: Around, host: Host, name: str, fields: Mapping[str, str], file: BinaryIO
) -> str:
    """Fetch what is not in ``file`` yet; the sha256 that the host says the whole has."""
    at, digest, size = file.seek(0, os.SEEK_END), "", -1
    while True:
        told, _ = await ask_guard(around.caller, host, "fetch", offset=at, **fields)
        data = _piece(told, at, name, host.name)
        if digest and (told["sha256"], told["size"]) != (digest, size):
            raise _odd(host.name)
        digest, size = str(told["sha256"]), int(told["size"])
        if at > size:  # of another pack
            at = file.seek(0)
            file.truncate()
            continue
        if at + len(data) > size or (not data and at < size):
            raise _odd(host.name)
        try:
            file.write(data)
        except OSError as error:
            raise _folder(Path(str(file.name)), error) from None
        at += len(data)
        if at == size:
            return digest


def _piece(told: Mapping[str, Any], at: int, name: str, host: str) -> bytes:
    data, size, digest = told.get("data"), told.get("size"), told.get("sha256")
    if told.get("offset") != at or told.get("name") != name or not isinstance(data, str):
        raise _odd(host)
    if type(size) is not int or not 0 < size <= MAX_PACK:
        raise _odd(host)
    if not isinstance(digest, str) or len(digest) != 64 or not _HEX.issuperset(digest):
        raise _odd(host)
    try:
        piece = binascii.a2b_base64(data.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeError):
        raise _odd(host) from None
    if len(piece) > MAX_PART or base64.b64encode(piece).decode() != data:
        raise _odd(host)
    return piece


def _odd(host: str) -> ProtocolError:
    return ProtocolError("its guard answered no part of the evidence that was asked for",
                         where=host)  # fmt: skip


def _verify(
    file: BinaryIO, part: Path, digest: str, name: str, host_id: str, key: bytes
) -> pack.Manifest:
    """Raise ActionError unless it is the pack that the host signed; then it is on the disk."""
    try:
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        whole = hashlib.sha256()
        while data := file.read(1 << 20):
            whole.update(data)
        if whole.hexdigest() != digest:
            raise ActionError(
                "what was fetched has another sha256 than the host says",
                where=clean(str(part), 300),
                hint="It is put aside as .wrong; fetch it again.",
                rule="evidence",
            )
        file.seek(0)
        return pack.check(file, name, host_id, key)
    except ActionError:
        # A whole pack that is wrong is kept under another name: it is evidence of that.
        os.replace(part, part.with_name(part.name.removesuffix(".part") + ".wrong"))
        raise
