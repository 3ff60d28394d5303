"""The nginx gateway: two include files of ours, and what nginx itself says of its configuration.

Keys never come here. The administrator maps each key to an id of a client (``$wf_client``); we
only ever write ids. ``docs/gateway.md`` has the configuration that goes with it.
"""

from __future__ import annotations

import re
import time

from ..steps import file
from ..steps.base import StepFailed
from ..world import World
from . import listen, names, procs, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Limits(NamedTuple):
        """Ids of blocked clients, and requests per minute by id."""

        blocked: frozenset[str]
        limited: dict[str, int]
else:
    from collections import namedtuple

    Limits = namedtuple("Limits", "blocked limited")

HEAD = "# Written by the guard of Watchfloor. Do not edit: it is written as a whole."
_ENTRY = re.compile(r"# (block|limit) ([a-z0-9][a-z0-9._-]{0,63})(?: ([0-9]{1,6}))?\Z")
_MAP = re.compile(r"map\s+[^\s{};]+\s+\$wf_client\s*\{")
_FILE = re.compile(r"^# configuration file (/[^\n]*):$", re.MULTILINE)
_VALUE = re.compile(
    r"(?:[^\s;\"'{}]+|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"\s+\"?([a-z0-9][a-z0-9._-]{0,63})\"?\s*;"
)
_NO_ENTRY = re.compile(r"^\s*(#.*$|(default|include|hostnames|volatile)\b[^;]*;)", re.MULTILINE)
_INCLUDE = re.compile(r"(?:^|[;{\s])include\s+\"?(/[^\s;\"]+)\"?\s*;")
RELOAD_S = 10.0
PAUSE = 0.02


def read(keys_file: str, world: World) -> Limits:
    """What stands, out of the comments of our own file. Raises StepFailed."""
    data = file.read(world.path(keys_file)) or b""
    if data.strip() and not data.startswith(HEAD.encode()):
        raise StepFailed(f"{keys_file} was not written by the guard: it is not overwritten")
    return parse(data)


def parse(data: bytes) -> Limits:
    """What a file for ``http`` stands for."""
    blocked, limited = set(), {}
    for line in data.decode("utf-8", "replace").splitlines():
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        kind, key, rate = entry.groups()
        if kind == "block":
            blocked.add(key)
        elif rate:
            limited[key] = int(rate)
    return Limits(frozenset(blocked), limited)


def render(limits: Limits) -> tuple[bytes, bytes]:
    """The file for ``http`` and the file for the ``server`` or ``location``."""
    keys = [HEAD]
    keys += [f"# block {key}" for key in sorted(limits.blocked)]
    keys += [f"# limit {key} {limits.limited[key]}" for key in sorted(limits.limited)]
    keys += ["map $wf_client $wf_blocked {", "    default 0;"]
    keys += [f'    "{key}" 1;' for key in sorted(limits.blocked)]
    keys += ["}"]
    rules = [HEAD, "if ($wf_blocked) { return 403; }"]
    if limits.limited:
        rules += ["limit_req_status 429;"]
    for number, key in enumerate(sorted(limits.limited)):
        rate = limits.limited[key]
        keys += [f"map $wf_client $wf_limit_{number} {{", '    default "";', f'    "{key}" 1;', "}"]
        keys += [f"limit_req_zone $wf_limit_{number} zone=wf_limit_{number}:32k rate={rate}r/m;"]
        # Requests of one second may come at once: clients send in small groups.
        rules += [f"limit_req zone=wf_limit_{number} burst={max(1, rate // 60)} nodelay;"]
    return ("\n".join(keys) + "\n").encode(), ("\n".join(rules) + "\n").encode()


def declared(gateway: dict[str, str], world: World) -> set[str]:
    """Ids of clients that nginx's configuration gives to ``$wf_client``. Raises StepFailed where
    nginx does not accept its configuration or does not read our files."""
    done = world.run(["nginx", "-T", "-q"], timeout=20)
    if done.code != 0:
        raise StepFailed(f"nginx does not accept its configuration: {_safe(done.why)}")
    files = files_of(done.out.decode("utf-8", "replace"))
    for wanted in (gateway["keys_file"], gateway["limits_file"]):
        if wanted not in files:
            raise StepFailed(f"nginx does not include {wanted}: see docs/gateway.md")
    return clients(files)


def files_of(dump: str) -> dict[str, str]:
    """What ``nginx -T`` writes, by file."""
    parts = _FILE.split(dump)
    return dict(zip(parts[1::2], parts[2::2]))


def clients(files: dict[str, str]) -> set[str]:
    """The ids that the maps to ``$wf_client`` give, those in files that a map includes too."""
    found: set[str] = set()
    for text in files.values():
        for start in _MAP.finditer(text):
            body = text[start.end() : text.find("}", start.end())]
            body += "".join(files.get(path, "") for path in _INCLUDE.findall(body))
            found.update(_VALUE.findall(_NO_ENTRY.sub("", body)))
    return found


def _safe(words: str) -> str:
    """nginx quotes the line that it does not accept, and a key may stand in it."""
    return re.sub(r'"[^"]*"', '"…"', words)[:200]


def apply(limits: Limits, gateway: dict[str, str], world: World) -> None:
    """Write both files, have nginx check them, and wait until it answers by them. On a refusal
    both are as they were. Raises StepFailed."""
    paths = [world.path(gateway["keys_file"]), world.path(gateway["limits_file"])]
    former = [file.read(path) for path in paths]
    for path, data in zip(paths, render(limits)):
        file.write(path, data, 0o644, world)
        world.mark("gateway.written")
    test = world.run(["nginx", "-t", "-q"], timeout=20)
    if test.code != 0:
        for path, old in zip(paths, former):
            if old is not None:
                file.write(path, old, 0o644, world)
        raise StepFailed(f"nginx does not accept what the guard wrote: {_safe(test.why)}")
    world.mark("gateway.checked")
    reload_gateway(gateway["unit"], world)


def reload_gateway(unit: str, world: World) -> None:
    """Have it read its files, and wait until only workers that have are listening. Raises
    StepFailed."""
    if not units.active(unit, world):
        return  # it reads them when it starts
    old = _workers(unit, world)
    done = world.run(["systemctl", "reload", "--", unit], timeout=30)
    if done.code != 0:
        raise StepFailed(f"{unit} does not read its files again: {done.why}")
    deadline = time.monotonic() + RELOAD_S
    while True:
        now = _workers(unit, world)
        listening = listen.of(now, world)
        if listening - old and not listening & old:
            return
        if time.monotonic() > deadline:
            raise StepFailed(f"{unit} started no worker with the new files; see its error log")
        time.sleep(PAUSE)


def _workers(unit: str, world: World) -> set[int]:
    """Numbers of the workers: children of the unit's main process."""
    main = units.show(unit, world, ("MainPID",)).get("MainPID", "0")
    return {
        process.pid
        for process in procs.processes(world)
        if not process.dead and str(process.ppid) == main
    }


def unit_name(gateway: dict[str, str]) -> str:
    """The gateway's unit. Raises Refused."""
    return names.unit(gateway["unit"])
