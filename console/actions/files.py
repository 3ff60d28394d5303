"""Requests and decisions as plain files: for a signature made elsewhere, and to go on later."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from console.errors import ActionError
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import canonical, documents
from console.model.guard import Outcome, Preview
from console.text import clean

MAX_FILE = 2 << 20
DECISION = "approval.json"


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A signed request and how far its sending has come."""

    watchfloor: str = "request"
    preview: Preview
    request: str
    signature: str
    outcomes: tuple[Outcome, ...] = ()

    @property
    def rest(self) -> Preview:
        """The same for the hosts that were not reached; what a host refused stays refused."""
        done = {each.host for each in self.outcomes if each.ok or each.rule != "link"}
        targets = tuple(item for item in self.preview.targets if item.host not in done)
        return msgspec.structs.replace(self.preview, targets=targets)


def save(path: Path, unfinished: Unfinished) -> None:
    """Write it as a whole, for this user only. Raises ActionError."""
    write(path, msgspec.json.format(msgspec.json.encode(unfinished)) + b"\n")


def load(path: Path) -> Unfinished:
    """Raises ActionError where it is not what ``save`` wrote."""
    try:
        return msgspec.json.decode(read(path), type=Unfinished)
    except (msgspec.MsgspecError, RecursionError):
        raise ActionError(
            "is no saved request", where=str(path), hint="--save FILE writes one.", rule="file"
        ) from None


def export(
    folder: Path, envelope: dict[str, str], person: str, verdict: str, comment: str, expires: int
) -> Path:
    """Write a request with all that is needed to judge it, and the decision to be signed.

    ``envelope`` holds ``request``, ``signature`` and ``binding`` as a host shows them. Returns the
    file to sign. Raises ActionError.
    """
    document = {
        "kind": "approval",
        "v": 1,
        "by": person,
        "comment": comment,
        "expires": expires,
        "request_sha256": canonical.sha256(envelope["request"].encode()),
        "verdict": verdict,
    }
    try:
        data = canonical.write(document)
        documents.approval(data)
    except Refused as refused:
        raise ActionError(refused.words, hint=refused.hint, rule=refused.rule) from None
    write(folder / "request.json", envelope["request"].encode())
    write(folder / "request.json.sig", envelope["signature"].encode())
    write(folder / "binding.json", envelope["binding"].encode())
    write(folder / DECISION, data)
    return folder / DECISION


def decision(path: Path) -> tuple[bytes, str]:
    """A decision and its signature: ``FILE``, or its folder, and ``FILE.sig``."""
    file = path / DECISION if path.is_dir() else path
    if not Path(f"{file}.sig").exists():
        raise ActionError(
            "is not signed: its signature is not beside it",
            where=clean(str(file), 300),
            hint=f"Sign it: ssh-keygen -Y sign -n approval-v1@watchfloor -f KEY {file.name}",
            rule="file",
        )
    signature = read(Path(f"{file}.sig"))
    return read(file), signature.decode("utf-8", "replace")


def kind_of(data: bytes) -> str:
    """Which kind of decision a file holds. Raises ActionError."""
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    kind = found.get("kind") if isinstance(found, dict) else None
    if kind not in ("approval", "cancel", "start", "review"):
        raise ActionError("is no decision about a request", rule="file")
    return str(kind)


def read(path: Path) -> bytes:
    """A small file. Raises ActionError."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        why = clean(error.strerror or "cannot be read")
        raise ActionError(why, where=clean(str(path), 300), rule="file") from None
    if len(data) > MAX_FILE:
        raise ActionError("is too large", where=clean(str(path), 300), rule="file")
    return data


def write(path: Path, data: bytes) -> None:
    """Write as a whole, readable by this user only. Raises ActionError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(number, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        why = clean(error.strerror or "cannot be written")
        raise ActionError(why, where=clean(str(path), 300), rule="file") from None
