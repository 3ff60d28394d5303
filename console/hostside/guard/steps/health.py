"""A service asked over HTTP on loopback whether it is well."""

from __future__ import annotations

import time

from .. import say
from ..host import names
from ..refused import Refused
from ..trust.fields import URL
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..world import World

PAUSE = 0.25  # seconds between two questions
ONE = 10.0  # seconds that one answer may take
IN_A_ROW = 3  # a server that dies of its first real load also answers once
MAX_BODY = 1 << 16


class Health(Step):
    """``url`` answers with the status ``expect``, three times in a row, within ``seconds``, and it
    is a process of the unit ``service`` that does (empty: whoever it is)."""

    kind = "health"
    undoable = False

    def check(self, args: dict[str, Any]) -> None:
        """Raise Refused unless it is a plain URL of loopback with bounds."""
        if set(args) != {"url", "expect", "seconds", "service"}:
            raise Refused("step", "health takes url, expect, seconds and service")
        if args["service"] != "":
            names.text(names.UNIT, args["service"], "a service unit")
        if type(args["url"]) is not str or not URL.match(args["url"]):
            raise Refused("step", "the URL of a health check is not one of this host's loopback")
        if type(args["expect"]) is not int or type(args["seconds"]) is not int:
            raise Refused("step", "expect and seconds are whole numbers")

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which URL must answer what, and until when."""
        return [
            f"{args['url']} must answer {args['expect']}, {IN_A_ROW} times in a row within "
            f"{args['seconds']} s; else what was done before is undone",
            *([f"a process of {args['service']} must be what answers"] if args["service"] else []),
        ]

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Ask until it is well. Raises StepFailed saying what was answered last."""
        start = time.monotonic()
        good, said = 0, "nothing"
        while True:
            left = args["seconds"] - (time.monotonic() - start)
            if left <= 0:
                raise StepFailed(
                    f"the health check of {args['url']} failed: {said} after {args['seconds']} s"
                )
            status, said = ask(args["url"], min(ONE, max(left, 0.1)))
            if status == args["expect"]:
                said = stranger(args["url"], args["service"], world) or said
                status = 0 if said.startswith("it is") else status
            good = good + 1 if status == args["expect"] else 0
            if good >= IN_A_ROW:
                return {"healthy_after_ms": int((time.monotonic() - start) * 1000)}
            passed = int(time.monotonic() - start)
            world.progress(passed, args["seconds"], f"seconds waited: {said}")
            time.sleep(PAUSE)

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Nothing was changed."""


def stranger(url: str, service: str, world: World) -> str:
    """Who listens there besides the unit's own processes, as ``it is …``; empty where nobody else
    does, or where no systemd or ``ss`` can tell."""
    from urllib.parse import urlsplit

    from ..host import procs, units

    group = units.show(service, world, ("ControlGroup",)).get("ControlGroup") if service else ""
    parts = urlsplit(url)
    if not group or not world.has("ss"):
        return ""
    known = {process.pid for process in units.members(service, world)}
    known.add(1)  # systemd holds the socket of a unit that it starts when somebody comes
    found = listening(parts.hostname or "", parts.port or 80, world)
    if not found:
        return f"it is not told which process listens on port {parts.port}"
    for pid in sorted(found - known):
        process = procs.find(pid, world)
        exe = say.path(process.exe) if process is not None else "gone by now"
        return f"it is process {pid} ({exe}) that listens there, and it is none of {service}"
    return ""


def listening(host: str, port: int, world: World) -> set[int]:
    """Processes that have the socket on which that address is served: an exact one comes before
    one for all addresses."""
    import re

    done = world.run(["ss", "-H", "-n", "-l", "-t", "-p", f"sport = :{port}"], timeout=10)
    exact: set[int] = set()
    wide: set[int] = set()
    for line in done.out.decode("utf-8", "replace").splitlines():
        words = line.split(None, 5)
        if len(words) < 6:
            continue
        pids = {int(pid) for pid in re.findall(r"pid=([0-9]+)", words[5])}
        address = words[3].rpartition(":")[0].strip("[]")
        if address == host:
            exact |= pids
        elif address in ("*", "0.0.0.0", "::"):  # noqa: S104 - what is listened on, read
            wide |= pids
    return exact or wide


def ask(url: str, seconds: float) -> tuple[int, str]:
    """Status and words of one GET; 0 where there was no answer. No redirect is followed."""
    import http.client
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    try:
        path = parts.path + ("?" + parts.query if parts.query else "")
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        answer.read(MAX_BODY)
    except (OSError, http.client.HTTPException) as error:
        words = getattr(error, "strerror", None) or type(error).__name__
        return 0, f"no answer ({words})"
    finally:
        connection.close()
    return answer.status, f"status {answer.status}"
