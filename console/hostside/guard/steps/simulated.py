"""All kinds of steps in a build for demonstrations and tests: recorded in a file, nothing touched.

``simulated.json`` below the state folder: ``done`` (what was done, by kind and arguments), ``once``
(kinds that leave nothing to undo),
``facts`` and ``preview`` (what a host would say, by action), ``pace_s`` (seconds for each tenth of
a long step), ``fail`` and ``fail_undo`` (kinds that fail, for tests).
"""

from __future__ import annotations

import json
import os
from hashlib import sha256

from ..state.files import Files, lock
from ..world import World
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO, Any

LONG = frozenset(("verify", "collect", "destroy", "packages"))
TENTHS = 10


def load(world: World) -> dict[str, Any]:
    """The table."""
    try:
        table = Files(world.place, world.mark).read_json(_path(world))
    except FileNotFoundError:
        table = {}
    table.setdefault("done", {})
    return table


def save(world: World, table: dict[str, Any]) -> None:
    """Write it as a whole."""
    Files(world.place, world.mark).write_json(_path(world), table)


def _path(world: World) -> str:
    return f"{world.place.state}/simulated.json"


def _evidence(args: dict[str, Any], world: World) -> dict[str, Any]:
    """A small pack that is real but for what is in it, so that it can be fetched and verified."""
    from ..host import pack
    from . import collect

    name, folder = f"{world.request}.tar.gz", world.path(collect.FOLDER)
    if not (os.path.isdir(folder) and os.path.isfile(pack.key(world))):
        return {}
    if not os.path.lexists(f"{folder}/{name}"):
        collect.clear(name, world)
        collect.make(name, args, world, _told)
    return collect.about(name, world)


def _told(part: str, since_s: int, target: IO[bytes], world: World) -> str:
    target.write(f"simulated: {part} of the last {since_s} s would be here\n".encode())
    return ""


class Simulated(Step):
    """A kind of step that only says what it would have done. Its check is the real kind's."""

    def __init__(self, kind: str, real: Step) -> None:
        self.kind = kind
        self.real = real
        self.undoable = real.undoable

    def check(self, args: dict[str, Any]) -> None:
        """As the real kind."""
        self.real.check(args)

    def words(self, args: dict[str, Any]) -> list[str]:
        """As the real kind."""
        return self.real.words(args)

    def _key(self, args: dict[str, Any]) -> str:
        text = json.dumps([self.kind, args], sort_keys=True)
        return f"{self.kind}:{sha256(text.encode()).hexdigest()[:24]}"

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """Whether it was done before."""
        return {"was": load(world)["done"].get(self._key(args))}

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Record it; a long kind takes its time and says how far it is."""
        table = load(world)
        if self.kind in table.get("fail", ()):
            raise StepFailed(f"the simulated step {self.kind} fails, as it was told to")
        if self.kind in LONG:
            self._slowly(float(table.get("pace_s", 0.3)), world)
        self._set(args, {"kind": self.kind, "args": args}, world)
        return _evidence(args, world) if self.kind == "collect" else {}

    def _set(self, args: dict[str, Any], record: dict[str, Any] | None, world: World) -> None:
        """Change one record; long actions do so beside others."""
        handle = lock(_path(world) + ".lock")
        try:
            table = load(world)
            if not self.undoable:
                table.setdefault("once", []).append(self.kind)
            elif record is None:
                table["done"].pop(self._key(args), None)
            else:
                table["done"][self._key(args)] = record
            save(world, table)
        finally:
            os.close(handle)

    def _slowly(self, pace_s: float, world: World) -> None:
        import time

        for tenth in range(TENTHS + 1):
            world.progress(tenth, TENTHS, f"simulated {self.kind}")
            if pace_s and tenth < TENTHS:
                time.sleep(pace_s)

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """As it was recorded before."""
        table = load(world)
        if self.kind in table.get("fail_undo", ()):
            raise StepFailed(f"undoing the simulated step {self.kind} fails, as it was told to")
        self._set(args, before["was"], world)

    def holds(self, args: dict[str, Any], before: dict[str, Any], world: World) -> bool:
        """Whether the record is there."""
        return not self.undoable or self._key(args) in load(world)["done"]
