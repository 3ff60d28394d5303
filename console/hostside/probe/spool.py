"""Pending documents of the guard: their list, and the bytes of one."""

from __future__ import annotations

import binascii
import os
import re
import stat

from .denied import SPOOL, Denied
from .digest import sha256_hex
from .place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FOLDER = "/var/lib/watchfloor/guard/pending"
MAX_DOC = 512 * 1024
MAX_PENDING = 256
_name = re.compile(r"[0-9a-f]{64}\Z")


class Spool:
    """Reads the guard's folder; its documents are named by their SHA-256."""

    def __init__(self, place: Place, denied: Denied) -> None:
        self._folder = place.path(FOLDER)
        self._denied = denied
        self._mark: object = None
        self._pending: list[dict[str, Any]] | None = None

    def pending(self) -> list[dict[str, Any]] | None:
        """Digest and size of each document by digest; None when there is no guard to be seen."""
        try:
            mark = os.stat(self._folder).st_mtime_ns
            if mark != self._mark:
                self._pending = self._list()
                self._mark = mark
            self._denied.set("guard", None)
        except PermissionError:
            self._denied.set("guard", SPOOL)
            self._pending = self._mark = None
        except OSError:
            self._pending = self._mark = None
        return self._pending

    def _list(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name in sorted(os.listdir(self._folder)):
            if _name.match(name) and len(found) < MAX_PENDING:
                try:
                    about = os.lstat(self._folder + "/" + name)
                except OSError:
                    continue
                if stat.S_ISREG(about.st_mode):
                    found.append({"sha256": name, "size": about.st_size})
        return found

    def document(self, sha256: str) -> dict[str, Any]:
        """Part ``doc``: the bytes as base64, or why not. Nothing but that digest is ever given."""
        try:
            data = self._read(sha256)
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

    def _read(self, sha256: str) -> bytes:
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        handle = os.open(self._folder + "/" + sha256, flags)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ValueError("not a regular file")
            data = bytearray()
            while len(data) <= MAX_DOC:
                part = os.read(handle, 65_536)
                if not part:
                    return bytes(data)
                data += part
            raise ValueError(f"larger than {MAX_DOC} bytes")
        finally:
            os.close(handle)
