"""Store a host key in the file that declares the host; comments and order stay as they are."""

import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from console.config.hosts import Entry
from console.config.loader import Config
from console.errors import ConfigError
from console.text import clean


def store_host_key(config: Config, name: str, line: str, *, replace: bool = False) -> Path:
    """Add ``line`` to the host keys of ``name``, or put it in place of them.

    A host that stands alone gets it in its own element; a host of a range in ``[host_keys]``.
    Returns the file. Raises ConfigError when the host is not declared or the file cannot be
    written.
    """
    entry = config.entries.get(name)
    if entry is None:
        raise ConfigError(f"no host is called {clean(name, 80)!r}")
    # Where the keys in force stand decides the file, or else the new key would not count.
    origin = config.origin(f"hosts.{name}.host_key")
    in_table = f"host_keys.{name}" in config.origins
    path = Path(origin.file if in_table else entry.layer.file).resolve()
    before = () if replace else config.known[name].host_key
    lines = [*before, line] if line not in before else list(before)
    text = _read(path)
    new = _edited(text, entry, name, lines, in_table or entry.ranged)
    _write(path, new)
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="strict")
    except OSError as exc:
        raise ConfigError(clean(exc.strerror or "cannot be read"), where=str(path)) from exc


def _edited(text: str, entry: Entry, name: str, lines: list[str], in_table: bool) -> str:
    """``text`` with the key in it, checked to differ in nothing else."""
    try:
        document: Any = tomlkit.parse(text)
    except TOMLKitError as exc:
        raise ConfigError(f"cannot be edited: {clean(str(exc), 200)}") from exc
    value: Any = lines[0] if len(lines) == 1 else _array(lines)
    expected = tomllib.loads(text)
    if in_table:
        if "host_keys" not in document:
            document["host_keys"] = tomlkit.table()
        document["host_keys"][name] = value
        expected.setdefault("host_keys", {})[name] = lines[0] if len(lines) == 1 else lines
    else:
        document["hosts"][entry.number]["host_key"] = value
        expected["hosts"][entry.number]["host_key"] = lines[0] if len(lines) == 1 else lines
    new = tomlkit.dumps(document)
    if tomllib.loads(new) != expected:
        raise ConfigError(
            "the file is written in a way that cannot be edited safely",
            where=entry.layer.file,
            hint=f"Add by hand: host_key = {lines!r}",
        )
    return new


def _array(lines: list[str]) -> Any:
    array = tomlkit.array()
    array.extend(lines)
    return array.multiline(True)


def write_new(path: Path, text: str) -> None:
    """Write a file that must not exist yet, readable by this user only; ConfigError otherwise."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as exc:
        raise ConfigError(
            "is already there", where=str(path), hint="Nothing was written; give another --output."
        ) from exc
    except OSError as exc:
        raise ConfigError(clean(exc.strerror or "cannot be written"), where=str(path)) from exc


def _write(path: Path, text: str) -> None:
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
        os.replace(temporary, path)
        temporary = ""
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise ConfigError(clean(exc.strerror or "cannot be written"), where=str(path)) from exc
    finally:
        if temporary:
            os.unlink(temporary)
