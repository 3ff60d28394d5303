"""Hosts of an OpenSSH client configuration, for ``watchfloor hosts import``.

The names come from the ``Host`` lines (with ``Include``); what a name means is left to the real
program: ``ssh -G -F FILE NAME`` resolves patterns, defaults and order exactly.
"""

import glob
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import asyncssh

from console.errors import ConfigError
from console.text import clean

MAX_DEPTH = 16
MAX_FILES = 200
MAX_NAMES = 10_000
MAX_BYTES = 4 << 20
RESOLVE_S = 10.0
_KEYWORD = re.compile(r"[\s\"=]*([A-Za-z]+)\"?[\s=]*")

Fields = dict[str, object]
"""Keys of ``[[hosts]]``: name, address, port, user, key, certificate, jump, host_key, agent."""


def hosts_from_openssh(config_path: str | Path, notes: list[str] | None = None) -> list[Fields]:
    """Hosts named in an OpenSSH client configuration, in file order.

    Names with wildcards only lend settings and are left out; what cannot be carried over is added
    to ``notes``. ``host_key`` is filled from the known_hosts files that the configuration names.
    Raises ConfigError when the file or the ``ssh`` program is missing, or ssh refuses the file.
    """
    path = Path(config_path).expanduser()
    program = shutil.which("ssh")
    if program is None:
        raise ConfigError("needs the ssh program", hint="Install openssh-client.")
    if not path.is_file():
        raise ConfigError("no such file", where=clean(str(path), 300))
    told = notes if notes is not None else []
    return [_resolve(program, path, name, told) for name in host_names(path)]


def host_names(path: Path) -> list[str]:
    """Names without wildcards on ``Host`` lines of a file and what it includes, each once."""
    names: dict[str, None] = {}
    seen: set[Path] = set()
    _collect(path, names, seen, 0)
    return list(names)


def _collect(path: Path, names: dict[str, None], seen: set[Path], depth: int) -> None:
    real = path.resolve()
    if real in seen or depth > MAX_DEPTH or len(seen) > MAX_FILES:
        return
    seen.add(real)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError("is too big for an ssh configuration", where=clean(str(path), 300))
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return  # as ssh does: an Include that cannot be read is passed over
    for number, line in enumerate(text.splitlines(), 1):
        where = clean(f"{path} line {number}", 300)
        keyword, rest = _keyword(line)
        if _runs_a_program(line):
            raise ConfigError(
                "`Match exec` would run a program during the import",
                where=where,
                hint="Import a copy without it.",
            )
        if keyword == "host":
            for word in _words(rest, where):
                if not set(word) & set("*?!") and len(names) < MAX_NAMES:
                    names[word] = None
        elif keyword == "include":
            for word in _words(rest, where):
                for found in _included(word, where):
                    _collect(found, names, seen, depth + 1)


def _keyword(line: str) -> tuple[str, str]:
    """Keyword (lower case) and the rest of one line, in all forms that ssh takes.

    ``Host a``, ``Host=a`` and ``"Host" a`` are alike; an empty keyword for a comment.
    """
    found = _KEYWORD.match(line)
    return (found[1].lower(), line[found.end() :]) if found else ("", "")


def _runs_a_program(line: str) -> bool:
    """Whether ``ssh -G`` could run a program because of this line; rather too often than once."""
    flat = re.sub(r"[\"'\\]", "", line).lower().strip()
    return "match" in flat and "exec" in flat and not flat.startswith("#")


def _words(text: str, where: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError as exc:
        raise ConfigError(f"quotes do not match: {exc}", where=where) from exc


def _included(word: str, where: str) -> list[Path]:
    if "%" in word or "${" in word:  # newer versions of ssh expand them, and we must see the same
        raise ConfigError(f"Include {clean(word, 80)!r} has a token", where=where)
    pattern = os.path.expanduser(word)
    if not os.path.isabs(pattern):  # as ssh: beside the user's own configuration
        pattern = str(Path.home() / ".ssh" / pattern)
    return [Path(found) for found in sorted(glob.glob(pattern))]


def _resolve(program: str, path: Path, name: str, notes: list[str]) -> Fields:
    if name.startswith("-"):
        raise ConfigError(f"host name {clean(name, 80)!r} begins with a dash", where=str(path))
    try:
        done = subprocess.run(
            [program, "-G", "-F", str(path), name],
            check=False,
            capture_output=True,
            timeout=RESOLVE_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ConfigError(f"ssh -G failed: {clean(str(exc))}", where=clean(str(path))) from exc
    if done.returncode != 0:
        said = clean(done.stderr.decode("utf-8", "replace").strip().split("\n")[-1], 300)
        raise ConfigError(f"ssh refuses it: {said}", where=clean(str(path), 300))
    values: dict[str, list[str]] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value)
    if values.get("proxycommand", ["none"])[0] != "none":
        notes.append(f"{clean(name, 80)}: ProxyCommand not carried over; set `jump` in its place")
    return _fields(name, values)


def _fields(name: str, values: dict[str, list[str]]) -> Fields:
    def one(key: str) -> str:
        return values.get(key, [""])[0]

    address = one("hostname") or name
    port = int(one("port") or 22)
    fields: Fields = {"name": name, "address": address, "port": port, "user": one("user")}
    key = _first_file(values.get("identityfile", []))
    if key:
        fields["key"] = key
    certificate = one("certificatefile")
    if certificate and certificate != "none":
        fields["certificate"] = os.path.expanduser(certificate)
    if not key:
        fields["agent"] = True
    jump = one("proxyjump")
    if jump and jump != "none":
        fields["jump"] = [_bare(hop) for hop in jump.split(",")]
    alias = one("hostkeyalias")
    files = [path for text in values.get("userknownhostsfile", []) for path in text.split()]
    pins, authorities = _pins(files, alias or address, port)
    if pins:
        fields["host_key"] = pins
    if authorities:
        fields["host_ca"] = authorities
    return fields


def _first_file(paths: list[str]) -> str:
    """The first identity that exists; the defaults of ssh are listed even when absent."""
    for path in paths:
        full = os.path.expanduser(path)
        if path != "none" and os.path.isfile(full):
            return full
    return ""


def _bare(hop: str) -> str:
    """``user@name:port`` without user and port: the name of the hop."""
    name = hop.strip().rsplit("@", 1)[-1]
    if name.startswith("["):
        return name[1:].split("]", 1)[0]
    return name.split(":", 1)[0] if name.count(":") == 1 else name


def _pins(files: list[str], name: str, port: int) -> tuple[list[str], list[str]]:
    """Keys and authorities that known_hosts files hold for a host."""
    pins: list[str] = []
    authorities: list[str] = []
    for path in files:
        full = os.path.expanduser(path)
        if not os.path.isfile(full) or os.path.getsize(full) > MAX_BYTES:
            continue
        try:
            known = asyncssh.read_known_hosts(full)
            keys, cas, revoked, *_ = known.match(name, "", port if port != 22 else None)
        except (OSError, ValueError):
            continue
        bad = {key.public_data for key in revoked}
        pins += [_line(key) for key in keys if key.public_data not in bad]
        authorities += [_line(key) for key in cas if key.public_data not in bad]
    return list(dict.fromkeys(pins)), list(dict.fromkeys(authorities))


def _line(key: asyncssh.SSHKey) -> str:
    kind, blob = key.export_public_key("openssh").decode("ascii").split()[:2]
    return f"{kind} {blob}"
