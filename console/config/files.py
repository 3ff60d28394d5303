"""Read one configuration file: safely, checked against the types, each key with its line."""

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from console.config.document import LISTS, PATHS, Document, HostDefaults, HostEntry, Ui, fields_of
from console.config.origin import Origin, line_of, lines_of
from console.config.origin import Path as KeyPath
from console.errors import ConfigError
from console.text import clean

MAX_BYTES = 16 << 20

Table = dict[str, Any]


class Layer(msgspec.Struct, frozen=True):
    """The content of one file, with lists as lists and paths absolute, and where each key is."""

    name: str
    file: str
    data: Table
    lines: dict[KeyPath, int]

    def origin(self, *path: str | int) -> Origin:
        """Where ``path`` stands."""
        return Origin(self.name, self.file, line_of(self.lines, path))


def read_layer(path: Path, name: str, *, found_in_cwd: bool = False) -> Layer:
    """Read and check a file.

    ``found_in_cwd``: nobody named it, so it must also belong to this user or root. Raises
    ConfigError when it cannot be read, may be changed by others, is no TOML, or holds a key or
    value that does not belong there.
    """
    where = clean(str(path), 300)
    text = _read_text(path, where, found_in_cwd)
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        line = re.search(r"at line (\d+)", str(exc))
        raise ConfigError(
            f"is not TOML: {clean(str(exc), 200)}", where=f"{where}:{line[1]}" if line else where
        ) from exc
    layer = Layer(name, str(path), data, lines_of(text.replace("\r\n", "\n")))
    check(layer)
    return Layer(name, layer.file, _normal(data, path), layer.lines)


def _read_text(path: Path, where: str, found_in_cwd: bool) -> str:
    try:
        with path.open("rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise ConfigError("is not a regular file", where=where)
            _check_owner(info, where, found_in_cwd)
            raw = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise ConfigError(clean(exc.strerror or "cannot be read"), where=where) from exc
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES >> 20} MiB", where=where)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise ConfigError("is not UTF-8", where=f"{where}:{line}") from exc


def _check_owner(info: os.stat_result, where: str, found_in_cwd: bool) -> None:
    """Refuse a file that another user may write: it names programs, keys and hosts to trust."""
    mode = stat.S_IMODE(info.st_mode)
    if mode & 0o002 or (mode & 0o020 and not _private_group(info)):
        raise ConfigError(
            f"may be changed by others (mode {mode:04o}), and it decides which hosts are trusted",
            where=where,
            hint=f"Run: chmod go-w {where}",
        )
    if found_in_cwd and info.st_uid not in (os.geteuid(), 0):
        raise ConfigError(
            f"belongs to another user (uid {info.st_uid})",
            where=where,
            hint="Name it with --config if you trust it, or start from another folder.",
        )


def _private_group(info: os.stat_result) -> bool:
    """Whether the file's group is the owner's alone, as on systems with umask 002."""
    import grp
    import pwd

    try:
        owner, group = pwd.getpwuid(info.st_uid), grp.getgrgid(info.st_gid)
    except KeyError:
        return False
    alone = set(group.gr_mem) <= {owner.pw_name}
    return alone and owner.pw_gid == group.gr_gid and group.gr_name == owner.pw_name


def check(layer: Layer) -> None:
    """Check the keys and types of a whole file; ConfigError names line, key and nearest key."""
    data = layer.data
    _known(layer, (), data, fields_of(Document))
    for key, kind in (("ui", Ui), ("defaults", HostDefaults)):
        _known(layer, (key,), data.get(key), fields_of(kind))
        _typed(layer, (key,), data.get(key, {}), kind)
    for key in ("sites", "groups"):
        for name, table in _items(data.get(key)):
            _known(layer, (key, name), table, fields_of(HostDefaults))
            for barred in {"sites": ("site", "groups"), "groups": ("groups",)}[key]:
                if isinstance(table, dict) and barred in table:
                    raise wrong(layer, (key, name, barred), f"{barred!r} cannot be set here")
            _typed(layer, (key, name), table, HostDefaults)
    hosts = data.get("hosts")
    for number, entry in enumerate(hosts if isinstance(hosts, list) else ()):
        _known(layer, ("hosts", number), entry, fields_of(HostEntry))
        _typed(layer, ("hosts", number), entry, HostEntry)
    rest = {
        key: value for key, value in data.items() if key != "hosts" or not isinstance(value, list)
    }
    _typed(layer, (), rest, Document)


def wrong(layer: Layer, path: KeyPath, message: str, hint: str = "") -> ConfigError:
    """An error about a key of a file."""
    return ConfigError(message, where=clean(str(layer.origin(*path)), 300), hint=hint)


def nearest(word: str, words: Iterable[str]) -> str:
    """A hint with the word that was probably meant, or empty."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else ""


def _items(table: object) -> Iterable[tuple[str, Any]]:
    return table.items() if isinstance(table, dict) else ()


def _known(layer: Layer, path: KeyPath, table: object, known: Iterable[str]) -> None:
    for key, _ in _items(table):
        if key not in known:
            inside = f" in {dotted(path)}" if path else ""
            hint = nearest(key, known) or f"Known keys: {', '.join(known)}."
            message = f"unknown key {clean(key, 80)!r}{inside}"
            raise wrong(layer, (*path, key), message, hint)


def _typed(layer: Layer, path: KeyPath, value: object, kind: type[msgspec.Struct]) -> None:
    try:
        msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as exc:
        message, _, place = str(exc).partition(" - at `")
        inner = _inner(place.rstrip("`"))
        full = (*path, *inner)
        name = f"{dotted(full)}: " if full else ""
        raise wrong(layer, full, name + clean(message[:1].lower() + message[1:], 200)) from exc


def _inner(place: str) -> KeyPath:
    """Keys of a msgspec path such as ``$.hosts[3].port``; ``[...]`` is any key of a table."""
    path: list[str | int] = []
    for name, index in re.findall(r"\.([A-Za-z0-9_]+)|\[(\d+|\.\.\.)\]", place.removeprefix("$")):
        if name:
            path.append(name)
        elif index != "...":
            path.append(int(index))
        else:
            break  # msgspec does not say which one; the line of the table is near enough
    return tuple(path)


def dotted(path: KeyPath) -> str:
    """``hosts[2].port`` for ``("hosts", 2, "port")``."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{clean(part, 80)}" if out else part
    return out


def _normal(data: Table, file: Path) -> Table:
    """The same data with lists as lists and files as absolute paths."""
    out = dict(data)
    if "state_dir" in out:
        out["state_dir"] = _absolute(out["state_dir"], file)
    if "defaults" in out:
        out["defaults"] = _normal_host(out["defaults"], file)
    for key in ("sites", "groups"):
        if key in out:
            out[key] = {name: _normal_host(table, file) for name, table in out[key].items()}
    if "hosts" in out:
        out["hosts"] = [_normal_host(table, file) for table in out["hosts"]]
    if "host_keys" in out:
        keys: Mapping[str, Any] = out["host_keys"]
        out["host_keys"] = {name: _list(value) for name, value in keys.items()}
    return out


def _normal_host(table: Table, file: Path) -> Table:
    out = dict(table)
    for key in LISTS:
        if key in out:
            out[key] = _list(out[key])
    for key in PATHS:
        if out.get(key):
            out[key] = _absolute(out[key], file)
    return out


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _absolute(value: str, file: Path) -> str:
    """``value`` as it is meant in ``file``: ``~`` expanded, relative to the file's folder."""
    path = os.path.expanduser(value)
    return os.path.normpath(os.path.join(os.path.abspath(file.parent), path))
