"""Read one configuration file: safely, checked against the types, each key with its line."""

import codecs
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from console.config.check import check
from console.config.document import LISTS, OPERATOR_PATHS, PATHS
from console.config.layer import Layer, Table
from console.config.origin import lines_of
from console.errors import ConfigError
from console.text import clean

MAX_BYTES = 16 << 20


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
    except (ValueError, RecursionError) as exc:  # ValueError alone: a number of 5,000 digits
        line = re.search(r"at line (\d+)", str(exc))
        raise ConfigError(
            f"is not TOML: {clean(str(exc), 200)}", where=f"{where}:{line[1]}" if line else where
        ) from exc
    layer = Layer(name, str(path), data, lines_of(text.replace("\r\n", "\n")))
    check(layer)
    return Layer(name, layer.file, _normal(data, path), layer.lines)


def _read_text(path: Path, where: str, found_in_cwd: bool) -> str:
    try:
        # Without waiting: a pipe that nobody writes to must not hold the program up.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            info = os.fstat(file.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise ConfigError("is not a regular file", where=where)
            _check_owner(info, where, found_in_cwd)
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as exc:
        said = getattr(exc, "strerror", None) or "cannot be read"
        raise ConfigError(clean(said), where=where) from exc
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES >> 20} MiB", where=where)
    if raw.startswith(codecs.BOM_UTF8):
        raise ConfigError(
            "begins with a byte order mark", where=f"{where}:1", hint="Save it as plain UTF-8."
        )
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


def _normal(data: Table, file: Path) -> Table:
    """The same data with lists as lists and files as absolute paths."""
    out = dict(data)
    if "state_dir" in out:
        out["state_dir"] = _absolute(out["state_dir"], file)
    if "operator" in out:
        table = out["operator"]
        paths = {key: _absolute(table[key], file) for key in OPERATOR_PATHS if table.get(key)}
        out["operator"] = {**table, **paths}
    if "operators" in out:
        out["operators"] = {
            name: {key: _absolute(value, file) for key, value in table.items()}
            for name, table in out["operators"].items()
        }
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
