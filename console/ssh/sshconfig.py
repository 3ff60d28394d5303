"""Hosts of an OpenSSH client configuration, for ``watchfloor hosts import``.

The names come from the ``Host`` lines (with ``Include``); what a name means is left to the real
program: ``ssh -G`` resolves patterns, defaults and order exactly.

``ssh`` runs the programs of ``Match exec`` even with ``-G``, so it never reads the person's files.
They are read here, each line is taken apart and written anew into private copies, and a line that
is not plain is refused. So there is no second opinion about where a line or a keyword begins, and
an ``Include`` in a copy names another copy.
"""

import glob
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import asyncssh

from console.errors import ConfigError
from console.text import clean

MAX_DEPTH = 15  # ssh gives up at 16
MAX_FILES = 200
MAX_NAMES = 10_000
MAX_BYTES = 4 << 20
MAX_LINE = 1_000
"""Bytes of a line. Versions of ssh before 8 take what follows byte 1023 for a line of its own."""
RESOLVE_S = 10.0
_LINE = re.compile(r'(?:"([A-Za-z0-9]+)"|([A-Za-z0-9]+))(?:[ \t]*=[ \t]*|[ \t]+|(?="))(.*)')
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_./+-]+")

Fields = dict[str, object]
"""Keys of ``[[hosts]]``: name, address, port, user, key, certificate, jump, host_key, agent."""


def hosts_from_openssh(config_path: str | Path, notes: list[str] | None = None) -> list[Fields]:
    """Hosts named in an OpenSSH client configuration, in file order.

    Names with wildcards only lend settings and are left out; what cannot be carried over is added
    to ``notes``. ``host_key`` is filled from the known_hosts files that the configuration names.
    Raises ConfigError when the file or the ``ssh`` program is missing, ssh refuses the file, or
    the file is not plain enough to be sure that nothing in it is run.
    """
    path = Path(config_path).expanduser()
    program = shutil.which("ssh")
    if program is None:
        raise ConfigError("needs the ssh program", hint="Install openssh-client.")
    if not path.is_file():
        raise ConfigError("no such file", where=clean(str(path), 300))
    told = notes if notes is not None else []
    with tempfile.TemporaryDirectory(prefix="watchfloor-import-") as folder:
        if not _PLAIN_PATH.fullmatch(folder):  # ssh would take it for a pattern
            raise ConfigError("cannot work in the folder for temporary files", hint="Set TMPDIR.")
        copies = _Copies(folder)
        copies.add(path)
        copies.write()
        return [_resolve(program, copies, name, told) for name in copies.names]


def host_names(path: Path) -> list[str]:
    """Names without wildcards on ``Host`` lines of a file and what it includes, each once.

    Raises ConfigError as ``hosts_from_openssh`` does.
    """
    copies = _Copies("")
    copies.add(path)
    return list(copies.names)


class _Copies:
    """Plain copies of a configuration and of all that it includes, numbered in one folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.names: dict[str, None] = {}
        self.origins: list[Path] = []
        self._texts: list[str] = []
        self._bytes = 0

    def add(self, path: Path, above: tuple[Path, ...] = ()) -> int | None:
        """Read a file and what it includes; its number, or None for one that ssh passes over."""
        where = clean(str(path), 300)
        if len(self.origins) >= MAX_FILES:
            raise ConfigError(f"includes more than {MAX_FILES} files", where=where)
        if len(above) >= MAX_DEPTH or path.resolve() in above:
            raise ConfigError("includes itself, or files too deep in each other", where=where)
        try:
            if not path.is_file():
                raise OSError("not a file")
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as exc:
            if above:
                return None  # as ssh does: an Include that cannot be read is passed over
            raise ConfigError(f"cannot be read: {clean(str(exc), 200)}", where=where) from exc
        self._bytes += len(data)
        if self._bytes > MAX_BYTES:
            raise ConfigError("is too big for an ssh configuration", where=where)
        number = len(self.origins)
        self.origins.append(path)
        self._texts.append("")
        lines = data.decode("utf-8", "replace").split("\n")  # not splitlines: ssh cuts here only
        way = (*above, path.resolve())
        self._texts[number] = "\n".join(
            self._line(line, clean(f"{path} line {at}", 300), way)
            for at, line in enumerate(lines, 1)
        )
        return number

    def write(self) -> None:
        """Put the copies into the folder, which only we can read."""
        for number, text in enumerate(self._texts):
            Path(self.path(number)).write_text(text + "\n", encoding="utf-8")

    def path(self, number: int) -> str:
        """Where the copy of that number is."""
        return f"{self.folder}/{number}"

    def _line(self, line: str, where: str, way: tuple[Path, ...]) -> str:
        """One line as ssh may read it: empty for a comment. Raises ConfigError."""
        line = line.rstrip(" \t\r").lstrip(" \t")
        if _CONTROL.search(line):
            raise ConfigError("has a control character", where=where)
        if not line or line.startswith("#"):
            return ""
        if len(line.encode("utf-8")) > MAX_LINE:
            raise ConfigError(f"is longer than {MAX_LINE} bytes", where=where)
        found = _LINE.fullmatch(line)
        if not found:
            raise ConfigError("is not a keyword with a value", where=where)
        keyword, rest = found[1] or found[2], found[3]
        kind = keyword.lower()
        if kind == "match" and "exec" in re.sub(r"[\"'\\]", "", rest).lower():
            raise ConfigError(
                "`Match exec` would run a program during the import",
                where=where,
                hint="Import a copy without it.",
            )
        if kind == "include":
            files = [file for word in _words(rest, where) for file in _included(word, where)]
            numbers = [self.add(file, way) for file in files]
            paths = [self.path(number) for number in numbers if number is not None]
            # One line for all keeps the line numbers; it may be long, but holds only our paths.
            return "Include " + " ".join(paths) if paths else ""
        if kind == "host":
            self._name(_words(rest, where), where)
        return f"{keyword} {rest}"

    def _name(self, words: list[str], where: str) -> None:
        for word in words:
            if not set(word) & set("*?!"):
                self.names[word] = None
        if len(self.names) > MAX_NAMES:
            raise ConfigError(f"names more than {MAX_NAMES} hosts", where=where)


def _words(text: str, where: str) -> list[str]:
    """Words of a line up to a comment, which begins with a ``#`` that begins a word."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            if word.startswith("#"):
                break
            words.append(word)
    except ValueError as exc:
        raise ConfigError(f"quotes do not match: {exc}", where=where) from exc
    return [word for word in words if word]


def _included(word: str, where: str) -> list[Path]:
    if "%" in word or "${" in word:  # only newer versions of ssh expand them
        raise ConfigError(f"Include {clean(word, 80)!r} has a token", where=where)
    pattern = os.path.expanduser(word).replace("[^", "[!")
    if not os.path.isabs(pattern):  # as ssh: beside the user's own configuration
        pattern = str(Path.home() / ".ssh" / pattern)
    return [Path(found) for found in sorted(glob.glob(pattern))]


def _resolve(program: str, copies: _Copies, name: str, notes: list[str]) -> Fields:
    path = copies.origins[0]
    if name.startswith("-"):
        raise ConfigError(
            f"host name {clean(name, 80)!r} begins with a dash", where=clean(str(path), 300)
        )
    try:
        done = subprocess.run(
            [program, "-G", "-F", copies.path(0), name],
            check=False,
            capture_output=True,
            timeout=RESOLVE_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ConfigError(f"ssh -G failed: {clean(str(exc))}", where=clean(str(path))) from exc
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        said = "; ".join(said.split("\n")[-2:])  # the line at fault, and that ssh ended
        for number in reversed(range(len(copies.origins))):  # not the copies
            said = said.replace(copies.path(number), str(copies.origins[number]))
        raise ConfigError(f"ssh refuses it: {clean(said, 300)}", where=clean(str(path), 300))
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
