"""Small readers for procfs and sysfs: a value or None, never an exception."""

from __future__ import annotations

import os

MAX_FILE = 65_536


def read(*parts: str) -> str | None:
    """Text of the file whose path is ``parts`` joined, stripped; None where it cannot be read."""
    try:
        with open(os.path.join(*parts), "rb") as file:
            return file.read(MAX_FILE).decode("utf-8", "replace").strip()
    except OSError:
        return None


def number(*parts: str) -> int | None:
    """The file's whole number, decimal or with a prefix such as 0x; None for anything else."""
    raw = read(*parts)
    if raw is None:
        return None
    try:
        return int(raw, 0)
    except ValueError:
        return None


def scaled(divisor: float, *parts: str) -> float | None:
    """The file's number divided by ``divisor``, to one decimal."""
    value = number(*parts)
    return None if value is None else round(value / divisor, 1)


def names(*parts: str) -> list[str]:
    """Sorted names in a folder; empty where it cannot be read."""
    try:
        return sorted(os.listdir(os.path.join(*parts)))
    except OSError:
        return []


def link(*parts: str) -> str:
    """Last name of what a symbolic link points to; empty where there is none."""
    try:
        return os.path.basename(os.readlink(os.path.join(*parts)))
    except OSError:
        return ""
