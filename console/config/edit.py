"""Store a host key in the file that declares the host; comments and order stay as they are."""

import contextlib
import fcntl
import os
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import tomlkit
from tomlkit.exceptions import TOMLKitError

from console.config.hosts import Entry
from console.config.loader import Config
from console.errors import ConfigError
from console.text import clean


def store_host_key(config: Config, name: str, line: str, *, replace: bool = False) -> Path:
    """Add ``line`` to the host keys of ``name``, or put it in place of them.

    A host that stands alone gets it in its own element; a host of a range in ``[host_keys]``.
    Returns the file. Raises ConfigError when the host is not declared, when the file was changed
    so that the host stands elsewhere now, or when it cannot be written; the file is then as before.
    """
    entry = config.entries.get(name)
    if entry is None:
        raise ConfigError(f"no host is called {clean(name, 80)!r}")
    # Where the keys in force stand decides the file, or else the new key would not count.
    origin = config.origin(f"hosts.{name}.host_key")
    in_table = f"host_keys.{name}" in config.origins
    path = Path(origin.file if in_table else entry.layer.file).resolve()
    element = None if in_table or entry.ranged else entry
    with _alone(path.parent):
        text = _read(path)
        place = _Place(path, name, element, () if replace else config.known[name].host_key, replace)
        _write(path, _edited(text, place, line), line)
    return path


class _Place(msgspec.Struct, frozen=True):
    """Where in the file the key goes."""

    file: Path
    name: str
    element: Entry | None  # None: in [host_keys]
    known: tuple[str, ...]  # keys in force that may stand elsewhere
    replace: bool

    def table(self, document: Any) -> tuple[Any, str]:
        """The table of a parsed file that holds the key or will, and the name in it."""
        if self.element is None:
            return document.setdefault("host_keys", {}), self.name
        hosts = document.get("hosts", ())
        number = self.element.number
        if number >= len(hosts) or hosts[number].get("name") != self.name:
            raise ConfigError(
                "the file was changed since it was read; nothing was stored",
                where=str(self.file),
                hint="Run the command again.",
            )
        return hosts[number], "host_key"


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one of us at a time read, change and write a file of this folder."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise ConfigError(clean(exc.strerror or "cannot be read"), where=str(folder)) from exc
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", newline="") as file:  # line ends stay as they are
            return file.read()
    except (OSError, ValueError) as exc:
        said = getattr(exc, "strerror", None) or "cannot be read"
        raise ConfigError(clean(said), where=str(path)) from exc


def _edited(text: str, place: _Place, line: str) -> str:
    """``text`` with the key in it, checked to differ in nothing else."""
    try:
        expected = tomllib.loads(text)
        document: Any = tomlkit.parse(text)
        table, key = place.table(expected)
        held = table.get(key, list(place.known))
        before = [] if place.replace else [held] if isinstance(held, str) else list(held)
        lines = before if line in before else [*before, line]
        table[key] = lines[0] if len(lines) == 1 else lines
        if place.element is None and "host_keys" not in document:
            document["host_keys"] = tomlkit.table()
        written, key = place.table(document)
        written[key] = lines[0] if len(lines) == 1 else _array(lines)
        new: str = tomlkit.dumps(document)
        same = tomllib.loads(new) == expected
    except (TOMLKitError, ValueError, TypeError, AttributeError) as exc:
        raise ConfigError(
            f"cannot be edited: {clean(str(exc), 200)}", where=str(place.file), hint=_by_hand(line)
        ) from exc
    if not same:
        raise ConfigError(
            "the file is written in a way that cannot be edited safely",
            where=str(place.file),
            hint=_by_hand(line),
        )
    return new


def _by_hand(line: str) -> str:
    return f'Nothing was stored; add by hand: host_key = "{clean(line, 8192)}"'


def _array(lines: list[str]) -> Any:
    array = tomlkit.array()
    array.extend(lines)
    return array.multiline(True)


def write_new(path: Path, text: str) -> None:
    """Write a file that must not exist yet, readable by this user only; ConfigError otherwise.

    It appears whole or not at all, and never in the place of another.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.path.lexists(path):
            raise FileExistsError
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename, this fails where something is there by now
    except (OSError, ValueError) as exc:
        if isinstance(exc, FileExistsError) and os.path.lexists(path):
            hint = "Nothing was written; give another --output."
            raise ConfigError("is already there", where=str(path), hint=hint) from exc
        said = getattr(exc, "strerror", None) or "cannot be written"
        raise ConfigError(clean(said), where=clean(str(path), 300)) from exc
    finally:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _write(path: Path, text: str, line: str) -> None:
    """Replace a file at once, with the owner and mode it had."""
    temporary = ""
    try:
        info = path.stat()
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(handle, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), info.st_mode & 0o7777)
            if (info.st_uid, info.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), info.st_uid, info.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # whoever is killed here leaves the old file or the new one
        temporary = ""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        said = clean(exc.strerror or "cannot be written")
        raise ConfigError(said, where=str(path), hint=_by_hand(line)) from exc
    finally:
        if temporary:
            os.unlink(temporary)
