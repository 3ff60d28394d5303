"""Step ``flows``: connections that are open are ended on both sides."""

from __future__ import annotations

from ..network import diag as net_diag
from ..network import flows as net_flows
from ..refused import Refused
from ..world import World
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_PASSES = 5


class EndFlows(Step):
    """``keep`` and ``peers``: networks; ``ports``: local ports; see ``net_flows.chosen``.

    Comes after the rules, which let a reset out and nothing else: so no connection comes back, and
    the peer's end ends too. Cannot be undone.
    """

    kind = "flows"
    undoable = False

    def check(self, args: dict[str, Any]) -> None:
        """Raises Refused."""
        if set(args) != {"keep", "peers", "ports"} or any(
            type(v) is not list for v in args.values()
        ):
            raise Refused("step", "the step flows has not the arguments it takes")
        net_flows.chosen(args)

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which connections end, and which never do."""
        ports = ", ".join(str(port) for port in args["ports"])
        peers = ", ".join(args["peers"])
        what = f"to port {ports} of this host" if ports else "of every port"
        whom = f"with {peers}" if peers else "with everybody"
        return [
            f"open connections of TCP and UDP {what} {whom} are ended at once, on both sides",
            f"kept: connections on loopback, and with {', '.join(args['keep'])}",
            "not undone: whoever was cut off connects again",
        ]

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """End them, and those that came while that was done. ``ended``: how many."""
        self.check(args)
        wanted = net_flows.chosen(args)
        ended = 0
        refused = 0
        try:
            with net_diag.Diag() as diag:
                for _ in range(MAX_PASSES):
                    left = [flow for flow in diag.listed() if wanted(flow)]
                    codes = [diag.end(flow) for flow in left]
                    ended += codes.count(0)
                    refused = sum(code not in (0, 2) for code in codes)
                    if not left or refused == len(left):
                        break
        except OSError as error:
            raise StepFailed(f"connections cannot be ended: {error.strerror}") from None
        return {"ended": ended, "not_ended": refused}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Nothing: who was cut off connects again."""
