"""Table ``models``: versions of the model sources that this host declares."""

from __future__ import annotations

import os
import stat

from ..place import Place, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

    from ..inventory_lane import Context

MAX_VERSIONS = 200
MAX_FILES = 200_000
CHUNK = 200
CURRENT = "current"
RIGHT = "CAP_DAC_READ_SEARCH or root (tier 2)"


def measure(path: str) -> Generator[tuple[Any, ...], None, tuple[int, int, float]]:
    """(bytes, files, newest change) below ``path``; links are not followed."""
    size = files = seen = 0
    newest = 0.0
    stack = [path]
    while stack and seen < MAX_FILES:
        folder = stack.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                seen += 1
                if seen % CHUNK == 0:
                    yield ("step",)
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    facts = entry.stat(follow_symlinks=False)
                    size += facts.st_size
                    files += 1
                    newest = max(newest, facts.st_mtime)
    return size, files, newest


def current_of(place: Place, path: str) -> str:
    """Name of the version that the link ``current`` points to, where that is beside it."""
    try:
        target = os.readlink(place.path(f"{path}/{CURRENT}"))
    except OSError:
        return ""
    target = target.rstrip("/")
    if target.startswith("/"):
        return os.path.basename(target) if os.path.dirname(target) == path.rstrip("/") else ""
    return target if "/" not in target and target not in ("", ".", "..") else ""


def versions(place: Place, path: str) -> list[str]:
    """Names of the version folders; [""] where the folder is itself the only version."""
    names = []
    with os.scandir(place.path(path)) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                names.append(entry.name)
    layout = current_of(place, path) or all(name[:1].isdigit() or name[:1] == "v" for name in names)
    return sorted(names)[:MAX_VERSIONS] if names and layout else [""]


def _row(source: dict[str, Any], version: str, **facts: Any) -> list[Any]:
    name = words(source.get("name", ""), 120)
    shown = words(version or "-", 120)
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
        if stat.S_ISREG(os.stat(place.path(path)).st_mode):
            facts = os.stat(place.path(path))
            yield _row(
                source, "", current=True, size=facts.st_size, files=1, modified=facts.st_mtime
            )
            return
        names = versions(place, path)
    except OSError as error:
        yield _row(source, "", error=error.strerror or "cannot be read")
        return
    current = current_of(place, path)
    for name in names:
        full = f"{path}/{name}" if name else path
        served = name == current or name == ""
        try:
            size, files, modified = yield from measure(place.path(full))
        except OSError as error:
            yield _row(source, name, path=full, current=served, error=error.strerror or "?")
            continue
        yield _row(
            source, name, path=full, current=served, size=size, files=files, modified=modified
        )


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """The table; a source that cannot be read is a row that says why."""
    rows: dict[str, list[Any]] = {}
    refused = False
    for source in context.declared.sources:
        for item in _source(context.place, source):
            if isinstance(item, tuple):
                yield item
            else:
                rows[item[0]] = item
                refused = refused or item[-1] == "Permission denied"
    yield ("denied", "models", RIGHT if refused else None)
    yield ("table", "models", rows)
