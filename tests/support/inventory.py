"""Runs inventory sources to their end and checks each result against the console's model."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.hostside.probe.declared import Declared
from console.hostside.probe.inventory import steps
from console.hostside.probe.inventory_lane import Context
from console.hostside.probe.place import Place
from console.model.inventory import Inventory
from console.model.tables import TABLES

Source = Callable[[Context], Iterator[tuple[Any, ...]]]


class Found:
    """``sections`` and ``tables`` (rows by key) as the console's own types, and ``denied``."""

    def __init__(self) -> None:
        self.sections: dict[str, Any] = {}
        self.tables: dict[str, dict[str, Any]] = {}
        self.denied: dict[str, str] = {}
        self.steps = 0

    def take(self, item: tuple[Any, ...]) -> None:
        """One result of a source."""
        self.steps += 1
        if item[0] == "section":
            whole = msgspec.convert({item[1]: item[2]}, Inventory)
            self.sections[item[1]] = getattr(whole, item[1])
        elif item[0] == "table":
            rows = list(item[2].values()) if isinstance(item[2], dict) else item[2]
            typed = [msgspec.convert(row, TABLES[item[1]]) for row in rows]
            self.tables[item[1]] = {row[0]: one for row, one in zip(rows, typed, strict=True)}
            assert len(self.tables[item[1]]) == len(rows), "two rows with one key"
        elif item[0] == "denied":
            self.denied.pop(item[1], None)
            if item[2] is not None:
                self.denied[item[1]] = item[2]
        else:
            assert item == ("step",)


def context(
    place: Place, declared: Declared | None = None, processes: Iterable[dict[str, Any]] = ()
) -> Context:
    """What a source may use, with these processes on the host."""
    known = list(processes)
    return Context(place, declared or Declared(), 0, None, list, lambda: known)


def collect(
    place: Place,
    source: Source = steps,
    declared: Declared | None = None,
    processes: Iterable[dict[str, Any]] = (),
) -> Found:
    """Everything that ``source`` gives."""
    found = Found()
    for item in source(context(place, declared, processes)):
        found.take(item)
    return found


def tree(root: Path, files: Mapping[str, str | bytes]) -> Place:
    """A made host: files by absolute path; its ``/proc`` is ``root/proc``."""
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    return Place(proc=str(root / "proc"), root=str(root))


class _Passwd(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("password", ctypes.c_char_p),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("gecos", ctypes.c_char_p),
        ("home", ctypes.c_char_p),
        ("shell", ctypes.c_char_p),
    )


def libc_passwd(path: Path) -> list[tuple[bytes, int, int, bytes, bytes]]:
    """The accounts of a file as the C library of this machine reads them (fgetpwent)."""
    libc = ctypes.CDLL(None)
    libc.fopen.restype = ctypes.c_void_p
    libc.fgetpwent.restype = ctypes.POINTER(_Passwd)
    handle = ctypes.c_void_p(libc.fopen(str(path).encode(), b"r"))
    assert handle
    found = []
    try:
        while entry := libc.fgetpwent(handle):
            one = entry.contents
            found.append((one.name, one.uid, one.gid, one.home, one.shell))
    finally:
        libc.fclose(handle)
    return found
