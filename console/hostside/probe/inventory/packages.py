"""Table ``packages``: what the distribution's package manager has installed."""

from __future__ import annotations

import os
import re

from ..place import listing, words
from .child import KILLED, SECONDS, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..inventory_lane import Context

DPKG_STATUS = "/var/lib/dpkg/status"
DPKG_PARTS = "/var/lib/dpkg/status.d"
RPM_FOLDERS = ("/var/lib/rpm", "/usr/lib/sysimage/rpm", "/usr/share/rpm")
RPM_FORMAT = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{SOURCERPM}\\n"
MAX_PACKAGES = 30_000
CHUNK = 65_536
MAX_STANZA = 1 << 20

_source = re.compile(r"(\S+)(?: \((\S+)\))?")
_source_rpm = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:src|nosrc)\.rpm")


def stanza(text: str) -> list[Any] | None:
    """Row of one stanza of dpkg's status file; None when it is not installed or not whole."""
    fields: dict[str, str] = {}
    for line in text.split("\n"):
        if line[:1] in (" ", "\t") or ":" not in line:
            continue
        name, _, value = line.partition(":")
        if name in ("Package", "Status", "Version", "Architecture", "Source"):
            fields[name] = words(value.strip(), 200)
    if not fields.get("Package") or not fields.get("Version"):
        return None
    if fields.get("Status", "installed").split()[-1:] in (["not-installed"], ["config-files"]):
        return None  # anything between that and installed has its files on the disk
    name, version, arch = fields["Package"], fields["Version"], fields.get("Architecture", "")
    found = _source.match(fields.get("Source", ""))
    source, source_version = (found[1], found[2] or version) if found else (name, version)
    return [f"deb/{name}/{arch}", "deb", name, version, arch, source, source_version]


def rpm_row(line: str) -> list[Any] | None:
    """Row of one line of ``rpm -qa`` in ``RPM_FORMAT``."""
    parts = line.split("\t")
    if len(parts) != 4 or not parts[0] or parts[0] == "gpg-pubkey":
        return None
    name, version, arch, source_rpm = (words(part, 200) for part in parts)
    version = version[2:] if version.startswith("0:") else version
    found = _source_rpm.fullmatch(source_rpm)
    source, source_version = (found[1], found[2]) if found else (name, version)
    return [f"rpm/{name}/{arch}/{version}", "rpm", name, version, arch, source, source_version]


def dpkg(path: str) -> Iterator[Any]:
    """Yield ``("step",)`` between pieces of the status file, and each row as a list."""
    with open(path, "rb") as file:
        rest = b""
        while True:
            piece = file.read(CHUNK)
            if not piece:
                break
            *ready, rest = (rest + piece).split(b"\n\n")
            rest = rest[-MAX_STANZA:]
            for text in ready:
                row = stanza(text.decode("utf-8", "replace"))
                if row is not None:
                    yield row
            yield ("step",)
        row = stanza(rest.decode("utf-8", "replace"))
        if row is not None:
            yield row


def _dpkg_files(context: Context) -> list[str]:
    place = context.place
    files = [DPKG_STATUS] if os.path.isfile(place.path(DPKG_STATUS)) else []
    try:
        names = listing(place.path(DPKG_PARTS), MAX_PACKAGES)
    except OSError:
        names = []
    return files + [f"{DPKG_PARTS}/{name}" for name in names if not name.endswith(".md5sums")]


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """The table, of both managers where both are there."""
    place = context.place
    rows: dict[str, list[Any]] = {}
    why: str | None = None
    for file in _dpkg_files(context):
        try:
            for item in dpkg(place.path(file)):
                if isinstance(item, tuple):
                    yield item
                elif len(rows) < MAX_PACKAGES:
                    rows[item[0]] = item
        except OSError as error:
            why = f"read access to {file}: {error.strerror}"
    if place.real and any(os.path.isdir(folder) for folder in RPM_FOLDERS):
        done = yield from run(["rpm", "-qa", "--qf", RPM_FORMAT])
        why = _why_not(done, bool(rows))
        for number, line in enumerate((done[1] if done else b"").split(b"\n")):
            row = rpm_row(line.decode("utf-8", "replace"))
            if row is not None and len(rows) < MAX_PACKAGES:
                rows[row[0]] = row
            if number % 500 == 499:
                yield ("step",)
    if len(rows) >= MAX_PACKAGES:
        why = f"a host with fewer than {MAX_PACKAGES} packages"
    yield ("denied", "packages", why)
    yield ("table", "packages", rows)


def _why_not(done: tuple[int, bytes, bytes] | None, others: bool) -> str | None:
    """What is missing to read the RPM database; ``others``: another manager has packages."""
    if done is None:
        return None if others else "the program rpm: there is a database of it"
    if done[0] == KILLED:
        return f"an RPM database that is read in {SECONDS:g} s"
    broken = done[0] != 0 or (bool(done[2].strip()) and not done[1].strip())
    return "an RPM database that may be read and is whole" if broken else None
