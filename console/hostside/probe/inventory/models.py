"""Table ``models``: versions of the model sources that this host declares.

A folder with one folder for each version, and a link ``current`` to the one that is served; the
numbered versions of Triton, of which the highest is served; and the cache of a model hub
(``snapshots``, ``refs/main``). Any other folder is one version.
"""

from __future__ import annotations

import os
import stat
from itertools import islice

from ..place import Place, read_file, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from ..inventory_lane import Context

    Step = tuple[Any, ...]

MAX_VERSIONS = 200
MAX_FILES = 200_000
MAX_LISTED = 20_000
CHUNK = 200
LAYOUT = "versions"
"""Folder of the versions in the layout that the guard's model actions work on (docs/models.md)."""
CURRENT = "current"
HUB = "snapshots"
RIGHT = "CAP_DAC_READ_SEARCH or root (tier 2)"
_DENIED = "Permission denied"


class Measure:
    """What lies below a folder: bytes, files, newest change, and why that is not all of it."""

    def __init__(self) -> None:
        self.size = self.files = 0
        self.newest = 0.0
        self.error = ""

    def add(self, facts: os.stat_result) -> None:
        """Count one file."""
        self.size += facts.st_size
        self.files += 1
        self.newest = max(self.newest, facts.st_mtime)


def measure(path: str, blobs: str = "") -> Generator[Step, None, Measure]:
    """Look below ``path``. No link is followed, but to a file in the folder ``blobs``."""
    found = Measure()
    seen = 0
    stack = [path]
    while stack:
        try:
            with os.scandir(stack.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if seen > MAX_FILES:
                        found.error = f"more than {MAX_FILES} entries: the size is not all of it"
                        return found
                    if seen % CHUNK == 0:
                        yield ("step",)
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        found.add(entry.stat(follow_symlinks=False))
                    elif blobs and entry.is_symlink():
                        _add_blob(found, entry.path, blobs)
        except OSError as error:
            found.error = error.strerror or "cannot be read"
    return found


def _add_blob(found: Measure, link: str, blobs: str) -> None:
    target = os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link)))
    if os.path.dirname(target) == blobs:
        facts = os.lstat(target)
        if stat.S_ISREG(facts.st_mode):
            found.add(facts)


def current_of(place: Place, path: str) -> tuple[str, str]:
    """Name of the version that the link ``current`` points to, and what is wrong with the link."""
    try:
        target = os.readlink(place.path(f"{path}/{CURRENT}"))
    except OSError:
        return "", ""
    whole = os.path.normpath(target if target.startswith("/") else f"{path}/{target}")
    folder = os.path.normpath(path)
    if os.path.dirname(whole) == f"{folder}/{LAYOUT}":
        return f"{LAYOUT}/{os.path.basename(whole)}", ""
    if os.path.dirname(whole) != folder:
        return "", f"points outside of the source, to {words(target, 120)}"
    return os.path.basename(whole), ""


def folders(path: str) -> list[str]:
    """Names of the folders in ``path``, without links and what is hidden. Raises OSError."""
    names = []
    with os.scandir(path) as entries:
        for entry in islice(entries, MAX_LISTED):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                names.append(entry.name)
    return sorted(names)


def versions(place: Place, source: dict[str, Any], path: str) -> tuple[list[str], str]:
    """Version folders below ``path``, and the served one; [""] where ``path`` is the only one.

    Raises OSError when ``path`` cannot be listed.
    """
    names = folders(place.path(path))
    current, _ = current_of(place, path)
    if HUB in names and "refs" in names and not current:
        try:
            main = read_file(place.path(f"{path}/refs/main"), 256).decode("utf-8", "replace")
        except OSError:
            main = ""
        names = [f"{HUB}/{name}" for name in folders(place.path(f"{path}/{HUB}"))]
        return names[:MAX_VERSIONS] or [""], f"{HUB}/{main.strip()}"
    if LAYOUT in names and (current.startswith(f"{LAYOUT}/") or names == [LAYOUT]):
        names = [f"{LAYOUT}/{name}" for name in folders(place.path(f"{path}/{LAYOUT}"))]
        return _newest(names, current) or [""], current
    numbered = bool(names) and all(name.isdecimal() for name in names)
    if not names or not (current or all(n[:1].isdecimal() or n[:1] == "v" for n in names)):
        return [""], ""
    if numbered and not current and source.get("kind") == "triton":
        current = max(names, key=int)
    return _newest(names, current), current


def _newest(names: list[str], current: str) -> list[str]:
    """The newest by name, and the one that is served."""
    if len(names) <= MAX_VERSIONS:
        return names
    return sorted({*names[1 - MAX_VERSIONS :], *({current} & set(names))})


def _row(source: dict[str, Any], version: str, **facts: Any) -> list[Any]:
    name = words(source.get("name", ""), 120)
    shown = words(version.rsplit("/", 1)[-1] or "-", 120)
    return [
        f"{name}/{shown}", name, words(source.get("kind", ""), 40),
        words(source.get("unit") or source.get("container") or "", 120),
        words(facts.get("path") or source.get("path", "")), shown, facts.get("current", False),
        facts.get("size", 0), facts.get("files", 0), facts.get("modified", 0.0),
        words(source.get("url", "")), words(facts.get("error", ""), 200),
    ]  # fmt: skip


def _source(place: Place, source: dict[str, Any]) -> Iterator[Any]:
    path = (source.get("path") or "").rstrip("/")
    if not path:
        yield _row(source, "", current=True)
        return
    try:
        facts = os.stat(place.path(path))
        if stat.S_ISREG(facts.st_mode):
            yield _row(
                source, "", current=True, size=facts.st_size, files=1, modified=facts.st_mtime
            )
            return
        names, current = versions(place, source, path)
    except (OSError, ValueError) as error:
        yield _row(source, "", error=getattr(error, "strerror", "") or "cannot be read")
        return
    wrong = current_of(place, path)[1]
    if wrong:
        yield _row(source, CURRENT, path=f"{path}/{CURRENT}", current=True, error=wrong)
    for name in names:
        full = f"{path}/{name}" if name else path
        blobs = place.path(f"{path}/blobs") if name.startswith(HUB + "/") else ""
        found = yield from measure(place.path(full), blobs)
        yield _row(
            source, name, path=full, current=name == current, size=found.size,
            files=found.files, modified=found.newest, error=found.error,
        )  # fmt: skip


def steps(context: Context) -> Iterator[Step]:
    """The table; a source that cannot be read is a row that says why."""
    rows: dict[str, list[Any]] = {}
    refused = False
    for source in context.declared.sources:
        for item in _source(context.place, source):
            if isinstance(item, tuple):
                yield item
            else:
                rows[item[0]] = item
                refused = refused or item[-1] == _DENIED
    yield ("denied", "models", RIGHT if refused else None)
    yield ("table", "models", rows)
