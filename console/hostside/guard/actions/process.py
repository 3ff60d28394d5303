"""``kill-process``: one process, named by its number, its start and its executable."""

from __future__ import annotations

from ..refused import Refused
from ..world import World
from .base import DESTROY, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class KillProcess(Action):
    """``pid``, ``start_time`` (clock ticks since boot, field 22 of ``/proc/PID/stat``), ``exe``
    (as ``/proc/PID/exe`` links to it, ``say.path`` of it where no
    document could hold that). Number and start say which process it is."""

    name = "kill-process"
    words = "end one process"
    direction = DESTROY

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        from ..steps import process

        exactly(params, exe=str, pid=int, start_time=int)
        process.check(params)

    def facts(self, params: dict[str, Any], world: World) -> dict[str, Any]:
        """What it runs, where that is not what the request names: a program can run another one
        faster than anybody can ask for its end. A process that is not there is refused."""
        from .. import say
        from ..host import procs
        from ..steps import process

        found = process.same(params, world)
        if found is None:
            hint = "look at the process table again"
            other = procs.find(params["pid"], world)
            if other is not None and not other.dead:
                hint = f"the one of that number began {other.started} ticks after boot and runs "
                hint += f"{say.path(other.exe)}: name that start if it is the one that is meant"
            words = f"the process {params['pid']} with that start is not there"
            raise Refused("no-process", words, hint)
        exe = say.path(found.exe)
        return {} if params["exe"] in (exe, found.exe) else {"exe": exe}

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step, with what the host saw and, where it differs, what the request names."""
        self.check(params)
        args = {name: params[name] for name in ("exe", "pid", "start_time")}
        if facts:
            if set(facts) != {"exe"} or type(facts["exe"]) is not str:
                raise Refused("facts", "the facts of this host are not those of this action")
            args.update(exe=facts["exe"], named=params["exe"])
        return {"steps": [{"kind": "process", "args": args}], "confirm_s": 0, "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """What it is, what it holds, and who starts it again."""
        from ..model import serving
        from ..steps import process

        found = process.same(params, world)
        if found is None:
            gone = ["the process has ended by itself"]
            return {"effect": gone, "residual": [], "cut_off": [], "remains": []}
        told = serving.kill(found, world)
        args = plan["steps"][0]["args"]
        if "named" in args:
            told["effect"].insert(0, f"IT RAN {args['exe']}, AND THE REQUEST NAMES {args['named']}")
        return told

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """The program first."""
        return [
            ("program", params["exe"]),
            ("process", str(params["pid"])),
            ("started", f"{params['start_time']} ticks after boot"),
        ]
