"""Table ``packages``: what the distribution's package manager has installed."""

from __future__ import annotations

import os
import re

from ..place import words
from .child import run

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
CHUNK = 262_144

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
    if "Status" in fields and not fields["Status"].endswith(" installed"):
        return None
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
    with open(path, encoding="utf-8", errors="replace") as file:
        rest = ""
        while True:
            piece = file.read(CHUNK)
            if not piece:
                break
            whole = rest + piece
            *ready, rest = whole.split("\n\n")
            for text in ready:
                row = stanza(text)
                if row is not None:
                    yield row
            yield ("step",)
        row = stanza(rest)
        if row is not None:
            yield row


def _dpkg_files(context: Context) -> list[str]:
    place = context.place
    files = [DPKG_STATUS] if os.path.isfile(place.path(DPKG_STATUS)) else []
    try:
        names = sorted(os.listdir(place.path(DPKG_PARTS)))
    except OSError:
        names = []
    return files + [f"{DPKG_PARTS}/{name}" for name in names if not name.endswith(".md5sums")]


def steps(context: Context) -> Iterator[tuple[Any, ...]]:
    """The table, of both managers where both are there."""
    place = context.place
    rows: dict[str, list[Any]] = {}
    for file in _dpkg_files(context):
        for item in dpkg(place.path(file)):
            if isinstance(item, tuple):
                yield item
            elif len(rows) < MAX_PACKAGES:
                rows[item[0]] = item
    if place.real and any(os.path.isdir(folder) for folder in RPM_FOLDERS):
        done = yield from run(["rpm", "-qa", "--qf", RPM_FORMAT])
        if done is not None:
            refused = done[0] != 0
            yield ("denied", "packages", "read access to the RPM database" if refused else None)
            for number, line in enumerate(done[1].decode("utf-8", "replace").splitlines()):
                row = rpm_row(line)
                if row is not None and len(rows) < MAX_PACKAGES:
                    rows[row[0]] = row
                if number % 500 == 499:
                    yield ("step",)
    yield ("table", "packages", rows)
