"""A plugin's folder: its files, what ``plugin.toml`` says, and the digest that a person pins.

The files are read once. The same bytes are hashed, compared with the pin and sent to the plugin's
process, so that nothing can change between the check and the use.
"""

import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from console.errors import PluginError, WatchfloorError
from console.extend import API_VERSION, KINDS
from console.model.address import parts
from console.resources import shipped
from console.text import clean

MANIFEST = "plugin.toml"
MAX_FILES = 64
MAX_BYTES = 1 << 20
NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_ENTRY = re.compile(r"[A-Za-z_]\w*:[A-Za-z_]\w*")
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Short = Annotated[str, msgspec.Meta(max_length=300)]


class Asks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[asks]``: what the plugin needs beyond the processor."""

    connect: tuple[Short, ...] = ()  # ADDRESS:PORT of TCP servers; a person grants them or others


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of ``plugin.toml``."""

    name: Short
    version: Short
    api: int
    kinds: tuple[Short, ...]
    entry: Short  # "module:Class"
    words: Short  # what it does, in one sentence
    asks: Asks = Asks()


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin as it was read: nothing of it has been executed."""

    folder: Path
    manifest: Manifest
    files: dict[str, bytes]  # by path inside the folder, with "/"
    sha256: str

    @property
    def name(self) -> str:
        """Its name, which is also that of its folder."""
        return self.manifest.name


def places() -> tuple[Path, ...]:
    """The folders that plugins are looked for in: those that ship, and the user's own."""
    from platformdirs import user_data_path

    return shipped("plugins"), user_data_path("watchfloor") / "plugins"


def folders(within: Iterable[Path] | None = None) -> dict[str, Path]:
    """Every plugin folder by name. One that ships is never hidden by another of its name."""
    found: dict[str, Path] = {}
    for place in places() if within is None else within:
        try:
            inside = sorted(place.iterdir())
        except OSError:
            continue
        for folder in inside:
            if NAME.fullmatch(folder.name) and (folder / MANIFEST).is_file():
                found.setdefault(folder.name, folder)
    return found


def find(name: str, within: Iterable[Path] | None = None) -> Bundle:
    """Read the plugin of that name. Raises PluginError."""
    known = folders(within)
    if name not in known:
        words = ", ".join(known) or "none"
        raise PluginError(
            f"no plugin is called {clean(name, 80)!r}",
            hint=f"There are: {words}. `watchfloor plugins list` says where they are looked for.",
        )
    return read(known[name])


def read(folder: Path) -> Bundle:
    """Read one folder. Raises PluginError naming what is wrong with it."""
    where = clean(str(folder), 300)
    files = dict(_files(folder, where))
    if MANIFEST not in files:
        raise PluginError(f"has no {MANIFEST}", where=where, hint="docs/plugins.md shows one.")
    return Bundle(
        folder=folder,
        manifest=_manifest(files[MANIFEST], folder, files),
        files=files,
        sha256=digest(files),
    )


def digest(files: dict[str, bytes]) -> str:
    """One sha256 over all files: each name and content with its length before it, by name."""
    total = hashlib.sha256(b"watchfloor plugin 1\n")
    for name in sorted(files):
        raw = name.encode()
        total.update(b"%d %d\n" % (len(raw), len(files[name])))
        total.update(raw + files[name])
    return total.hexdigest()


def _files(folder: Path, where: str) -> Iterator[tuple[str, bytes]]:
    """All files but caches and hidden ones, which are neither pinned nor sent."""
    left, count = MAX_BYTES, 0
    for top, names, inside in os.walk(folder):
        names[:] = sorted(n for n in names if n != "__pycache__" and not n.startswith("."))
        for name in sorted(inside):
            if name.startswith("."):
                continue
            path = Path(top) / name
            relative = path.relative_to(folder).as_posix()
            if not all(_FILE.fullmatch(part) for part in relative.split("/")):
                raise PluginError(f"has a file of a strange name: {clean(relative)!r}", where=where)
            raw = _read(path, left, where)
            left, count = left - len(raw), count + 1
            if count > MAX_FILES or left < 0:
                raise PluginError(
                    f"is larger than {MAX_FILES} files or {MAX_BYTES >> 10} KiB", where=where
                )
            yield relative, raw


def _read(path: Path, limit: int, where: str) -> bytes:
    """A regular file's bytes, one more than ``limit`` at most; a link or a pipe is refused."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise PluginError(f"{clean(path.name)} is not a regular file", where=where)
            return file.read(limit + 1)
    except OSError as exc:
        said = clean(exc.strerror or "cannot be read")
        raise PluginError(f"{clean(path.name)}: {said}", where=where) from exc


def _manifest(raw: bytes, folder: Path, files: dict[str, bytes]) -> Manifest:
    where = clean(str(folder / MANIFEST), 300)
    try:
        found = msgspec.convert(tomllib.loads(raw.decode()), Manifest)
    except (ValueError, RecursionError) as exc:  # msgspec's and tomllib's errors are ValueErrors
        raise PluginError(f"is wrong: {clean(str(exc), 200)}", where=where) from exc
    fault = _fault(found, folder.name, files)
    if fault:
        raise PluginError(fault, where=where, hint="docs/plugins.md says what each key means.")
    return found


def _fault(found: Manifest, folder: str, files: dict[str, bytes]) -> str:
    """What is wrong with a manifest of the right form; empty when nothing is."""
    texts = (found.name, found.version, found.entry, found.words, *found.asks.connect)
    if any(clean(text, 300) != text for text in texts):
        return "holds characters that cannot be shown"
    if found.name != folder:
        return f"name is {found.name!r}, but the folder is {folder!r}"
    if found.api != API_VERSION:
        return f"is for version {found.api} of the plugin interface; this is {API_VERSION}"
    if not found.kinds or not set(found.kinds) <= set(KINDS):
        return f"kinds must be some of {', '.join(KINDS)}"
    if not _ENTRY.fullmatch(found.entry):
        return 'entry must be "module:Class"'
    if f"{found.entry.partition(':')[0]}.py" not in files:
        return f"entry names {found.entry.partition(':')[0]}.py, which is not there"
    try:
        for text in found.asks.connect:
            parts(text)
    except WatchfloorError as error:
        return f"asks.connect: {error.message}"
    return ""
