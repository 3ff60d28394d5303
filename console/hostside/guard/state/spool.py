"""Requests on the disk: one file each, which moves from folder to folder by rename.

``spool``: waits for people. ``journal``: is carried out, or was and waits for a confirmation.
``standing``: stays until it is released. ``closed.json``: how the newest others ended. The name of
a file is the id of the request, which is the sha256 of the request inside.
"""

from __future__ import annotations

import os
from hashlib import sha256

from ..refused import Refused
from .files import Files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Entry = dict[str, Any]

SPOOL, JOURNAL, STANDING = "spool", "journal", "standing"
FOLDERS = (SPOOL, JOURNAL, STANDING)
CLOSED = 32
MAX_CLOSED = 256 << 10
HEX = "0123456789abcdef"
READ = ("action", "params", "mode", "requester", "expires")


class Store:
    """The requests of one host, below its ``state`` folder."""

    def __init__(self, files: Files, state: str) -> None:
        self.files = files
        self.state = state
        self.damaged: set[str] = set()  # names that were not used, for telemetry
        self.failed: set[str] = set()  # ids of those that could not be worked on in this call
        self.unsaved: dict[str, Entry] = {}  # as they are, where the disk does not take it

    def path(self, folder: str, rid: str) -> str:
        """Where it is."""
        return f"{self.state}/{folder}/{rid}"

    def load(self, folder: str, rid: str) -> Entry:
        """The entry. Raises Refused: ``no-request``, ``spool-corrupted`` or ``file-unsafe``."""
        if not is_id(rid):
            raise Refused("no-request", "the id of a request has 64 hexadecimal digits")
        if rid in self.unsaved:
            return self.unsaved[rid]
        try:
            entry = self.files.read_json(self.path(folder, rid))
        except FileNotFoundError:
            raise gone() from None
        request = entry.get("request")
        if type(request) is not str or not _signed(entry, request, rid):
            raise Refused(
                "spool-corrupted",
                f"the request kept on the host as {rid[:12]} is not the one that was signed",
                "somebody with root changed it; make the request anew and look at the host",
            )
        return entry

    def save(self, folder: str, entry: Entry) -> None:
        """Write it; on the disk when this returns."""
        self.files.write_json(self.path(folder, entry["id"]), entry)
        self.unsaved.pop(entry["id"], None)

    def keep(self, folder: str, entry: Entry) -> bool:
        """Write it, into the room that is kept for this where the disk is full. False where it
        cannot be: an undoing goes on all the same, this call sees it as it is, and the next call
        undoes it again from what is on the disk, which changes nothing more."""
        for last in (False, True):
            try:
                self.save(folder, entry)
                return True
            except OSError:
                if not last:
                    self.spare()
        self.unsaved[entry["id"]] = entry
        return False

    def spare(self) -> None:
        """Give up the room that is kept on the disk."""
        try:
            self.files.remove(f"{self.state}/reserve")
        except OSError:
            return

    def move(self, source: str, target: str, rid: str) -> bool:
        """Rename it from folder to folder; False where another call was first."""
        return self.files.move(self.path(source, rid), self.path(target, rid))

    def remove(self, folder: str, rid: str) -> None:
        """Forget it."""
        self.unsaved.pop(rid, None)
        self.files.remove(self.path(folder, rid))

    def ids(self, folder: str) -> list[str]:
        """Ids of those in a folder."""
        try:
            return sorted(name for name in os.listdir(f"{self.state}/{folder}") if is_id(name))
        except FileNotFoundError:
            return []

    def all(self, folder: str) -> list[Entry]:
        """Those in a folder, the oldest first. What is damaged is left out and named."""
        found = []
        for rid in self.ids(folder):
            try:
                found.append(self.load(folder, rid))
            except Refused:
                self.damaged.add(f"{folder}/{rid}")
        return sorted(found, key=lambda entry: (entry["received"], entry["id"]))

    def find(self, rid: str) -> tuple[str, Entry]:
        """The folder and the entry. Raises Refused."""
        if rid in self.failed:
            raise Refused(
                "disk", "the guard could not work on that request just now", "look at the host"
            )
        for folder in FOLDERS:
            if is_id(rid) and os.path.lexists(self.path(folder, rid)):
                return folder, self.load(folder, rid)
        raise gone()

    def closed(self) -> list[Entry]:
        """How the newest ended, the newest last: public entries with ``why`` and ``ended``."""
        try:
            kept = self.files.read_json(f"{self.state}/closed.json", MAX_CLOSED).get("closed", [])
        except (FileNotFoundError, Refused):
            return []
        return [each for each in kept if type(each) is dict] if type(kept) is list else []

    def close(self, folder: str, entry: Entry, public: Entry) -> None:
        """Keep how it ended and forget the rest. Doing it twice is the same as once."""
        kept = [each for each in self.closed() if each.get("id") != entry["id"]]
        kept = [*kept, public][-CLOSED:]
        self.files.write_json(f"{self.state}/closed.json", {"closed": kept})
        self.files.mark("closed")
        self.remove(folder, entry["id"])


def _signed(entry: Entry, request: str, rid: str) -> bool:
    """Whether the request is the one of that id, and what was read from it stands beside it."""
    if sha256(request.encode()).hexdigest() != rid:
        return False
    import json

    doc = json.loads(request)
    return all(entry.get(name) == doc[name] for name in READ)


def is_id(rid: str) -> bool:
    """Whether it has the form of a request's id."""
    return type(rid) is str and len(rid) == 64 and not rid.strip(HEX)


def gone() -> Refused:
    """The answer about a request that is not there."""
    return Refused(
        "no-request",
        "no such request waits on this host",
        "it may have been decided, withdrawn or expired meanwhile",
    )
