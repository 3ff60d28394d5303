"""What the guard has published: the list of its documents, and the bytes of one."""

from __future__ import annotations

import binascii
import json
import os
import re
import stat

from .denied import SPOOL, Denied
from .digest import sha256_hex
from .place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = "/run/watchfloor/public"
INDEX = "index.json"
DOCS = "docs"
MAX_INDEX = 64 * 1024
MAX_DOC = 512 * 1024
MAX_DOCS = 64  # as many as the console takes of one frame
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_name = re.compile(r"[0-9a-f]{64}\Z")
_kind = re.compile(r"[a-z][a-z-]{0,15}\Z")


class Spool:
    """Reads the guard's public folder; its documents are named by their SHA-256."""

    def __init__(self, place: Place, denied: Denied) -> None:
        self._folder = place.path(FOLDER)
        self._index = self._folder + "/" + INDEX
        self._denied = denied
        self._mark: object = None
        self._listed: list[dict[str, Any]] | None = None

    def listed(self) -> list[dict[str, Any]] | None:
        """Digest, size and kind of each document in the guard's order; None when no guard is seen.

        Costs one stat while the index is the same file. Raises ValueError, once for each index,
        when it is no list of documents.
        """
        try:
            about = os.stat(self._index)
            mark = (about.st_ino, about.st_mtime_ns, about.st_size)
            if mark != self._mark:
                self._mark, self._listed = mark, None
                self._listed = _entries(_read(self._index, MAX_INDEX))
            self._denied.set("guard", None)
        except PermissionError:
            self._denied.set("guard", SPOOL)
            self._listed = self._mark = None
        except OSError:
            self._denied.set("guard", None)
            self._listed = self._mark = None
        return self._listed

    def document(self, sha256: str) -> dict[str, Any]:
        """Part ``doc``: the bytes as base64, or why not. Nothing but what is listed is given."""
        try:
            listed = self.listed() or []
            if "guard" in self._denied.whole():
                raise PermissionError
            if not any(each["sha256"] == sha256 for each in listed):
                raise FileNotFoundError
            data = _read(f"{self._folder}/{DOCS}/{sha256}", MAX_DOC)
        except FileNotFoundError:
            return {"sha256": sha256, "error": "no such document"}
        except PermissionError:
            return {"sha256": sha256, "error": "may not be read: " + SPOOL}
        except (OSError, ValueError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return {"sha256": sha256, "error": text}
        if sha256_hex(data) != sha256:
            return {"sha256": sha256, "error": "the document does not have this digest"}
        return {"sha256": sha256, "b64": binascii.b2a_base64(data, newline=False).decode()}


def _entries(raw: bytes) -> list[dict[str, Any]]:
    """The documents that an index lists. Raises ValueError."""
    try:
        docs = json.loads(raw)["docs"]
        return [_entry(each) for each in docs[:MAX_DOCS]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError("the guard's index is not a list of documents") from None


def _entry(each: dict[str, Any]) -> dict[str, Any]:
    sha256, size, kind = each["sha256"], each["size"], each["kind"]
    if not (_name.match(sha256) and _kind.match(kind) and type(size) is int and size >= 0):
        raise ValueError("not a document")
    return {"sha256": sha256, "size": size, "kind": kind}


def _read(path: str, limit: int) -> bytes:
    """A whole regular file. Raises OSError, ValueError where it is larger or something else."""
    handle = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("not a regular file")
        data = bytearray()
        while len(data) <= limit:
            part = os.read(handle, 65_536)
            if not part:
                return bytes(data)
            data += part
        raise ValueError(f"larger than {limit} bytes")
    finally:
        os.close(handle)
