"""The host's package manager: what is installed, what an update would do, and the update."""

from __future__ import annotations

import re

from ..refused import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NamedTuple

    from ..world import World

    class DryRun(NamedTuple):
        """What the package manager says it would do; ``error`` where it would not."""

        changed: dict[str, str]  # name -> version it would have
        removed: list[str]
        lines: list[str]
        error: str
else:
    from collections import namedtuple

    DryRun = namedtuple("DryRun", "changed removed lines error")

_APT = (
    "env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "apt-get",
    "-o", "APT::Get::AllowUnauthenticated=false", "-o", "Acquire::AllowInsecureRepositories=false",
    "-o", "DPkg::Lock::Timeout=60", "-o", "Dpkg::Options::=--force-confold",
    "-o", "Dpkg::Use-Pty=0",
)  # fmt: skip
_INSTALL = ("install", "-y", "--no-install-recommends", "--only-upgrade", "--no-remove")
_DNF = ("dnf", "-y", "--setopt=install_weak_deps=False", "--setopt=localpkg_gpgcheck=True")
_INST = re.compile(r"Inst (\S+) (?:\[(\S+)\] )?\((\S+)")
_REMV = re.compile(r"(?:Remv|Purg) (\S+)")
_ROW = re.compile(r" (\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+\S+ \S+\s*\Z")
MAX_LINES = 60
LIMIT_S = 1800.0


def tool(world: World) -> str:
    """``apt`` or ``dnf``. Raises Refused where there is neither."""
    for program, name in (("apt-get", "apt"), ("dnf", "dnf")):
        if world.has(program):
            return name
    raise Refused("no-packages", "this host has neither apt nor dnf")


def installed(names: Sequence[str], by: str, world: World) -> dict[str, str]:
    """Versions that are installed, by name; what is not installed is left out."""
    found = {}
    for name in names:
        if by == "apt":
            argv = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Version}", "--", name]
        else:
            argv = ["rpm", "-q", "--qf", "ii \t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}", name]
        done = world.run(argv, timeout=20)
        state, _, version = done.out.decode("utf-8", "replace").partition("\t")
        if done.code == 0 and state[1:2] == "i" and version:
            found[name] = version
    return found


def settle(names: Sequence[str], by: str, world: World) -> None:
    """Bring to its end what a killed run left unpacked: it would keep every later one from
    starting."""
    if by != "apt":
        return
    form = "-f=${db:Status-Abbrev}\t${binary:Package}\n"
    done = world.run(["dpkg-query", "-W", form, "--", *names], timeout=20)
    rows = [line.split("\t") for line in done.out.decode("utf-8", "replace").splitlines()]
    left = [row[1] for row in rows if len(row) == 2 and row[0][1:2] in ("U", "F", "W", "t")]
    if left:
        world.run(["dpkg", "--configure", "--", *left], timeout=300)


def dry_run(packages: Sequence[tuple[str, str]], by: str, world: World) -> DryRun:
    """What the update would do, by the package manager itself. Changes nothing."""
    if by == "apt":
        wanted = [f"{name}={version}" for name, version in packages]
        done = world.run([*_APT, "-s", *_INSTALL, "--", *wanted], timeout=60)
        return read_apt(done.code, done.out.decode("utf-8", "replace"), done.why)
    wanted = [f"{name}-{version}" for name, version in packages]
    done = world.run([*_DNF, "--assumeno", "upgrade", "--", *wanted], timeout=120)
    return read_dnf(done.out.decode("utf-8", "replace"), done.why)


def read_apt(code: int, out: str, why: str) -> DryRun:
    """The lines ``Inst NAME [OLD] (NEW ...)`` and ``Remv NAME`` of ``apt-get -s``."""
    changed, removed, lines = {}, [], []
    for line in out.splitlines():
        inst, remv = _INST.match(line), _REMV.match(line)
        if inst is not None:
            changed[inst.group(1)] = inst.group(3)
        if remv is not None:
            removed.append(remv.group(1))
        if inst is not None or remv is not None:
            lines.append(line[:200])
    errors = [line[3:] for line in why.splitlines() if line.startswith("E: ")]
    return DryRun(changed, removed, lines[:MAX_LINES], (errors or [why])[0] if code else "")


def read_dnf(out: str, why: str) -> DryRun:
    """The table of ``dnf --assumeno``: sections, and rows of name, architecture, version."""
    changed, removed, lines, section = {}, [], [], ""
    for line in out.splitlines():
        if line.endswith(":") and not line.startswith(" "):
            section = line[:-1]
        row = _ROW.match(line)
        if row is None or not section or section.startswith("Transaction"):
            continue
        lines.append(f"{section}: {row.group(1)} {row.group(3)}"[:200])
        if section.startswith(("Removing", "Downgrading")):
            removed.append(row.group(1))
        else:
            changed[row.group(1)] = row.group(3)
    errors = [line for line in why.splitlines() if line.startswith(("Error", "No match"))]
    error = "" if lines else (errors or [why or "nothing to do"])[0]
    return DryRun(changed, removed, lines[:MAX_LINES], error)


def objection(packages: Sequence[tuple[str, str]], found: DryRun, have: dict[str, str]) -> str:
    """Why that update is not made; empty where it does what was asked for and nothing else."""
    if all(have.get(name) == version for name, version in packages):
        return ""  # nothing is left to do, which some package managers call an error
    if found.error:
        return f"the package manager would not: {found.error}"[:300]
    if found.removed:
        return "it would remove " + ", ".join(found.removed[:5])
    wanted = {name.partition(":")[0]: version for name, version in packages}
    for name, version in found.changed.items():
        bare = name.partition(":")[0]
        if bare not in wanted:
            return f"it would also install {bare} {version}, which was not named"
        if wanted[bare] != version:
            return f"it would install {bare} {version}, not {wanted[bare]}"
    changed = {name.partition(":")[0] for name in found.changed}
    for name, version in packages:
        if name.partition(":")[0] not in changed and have.get(name) != version:
            return f"it would not install {name} {version}"
    return ""


def refresh(by: str, world: World) -> str:
    """Read the configured repositories again; why not, empty where it was done."""
    argv = [*_APT, "update"] if by == "apt" else [*_DNF, "makecache"]
    done = world.run(argv, timeout=300)
    return done.why if done.code else ""


def install(packages: Sequence[tuple[str, str]], by: str, world: World) -> str:
    """Make the update; why not, empty where it was made."""
    if by == "apt":
        argv = [*_APT, *_INSTALL, "--", *(f"{name}={version}" for name, version in packages)]
    else:
        argv = [*_DNF, "upgrade", "--", *(f"{name}-{version}" for name, version in packages)]
    done = world.run(argv, timeout=LIMIT_S)
    return done.why if done.code else ""
