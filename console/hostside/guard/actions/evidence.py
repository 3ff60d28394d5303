"""``collect-evidence``: what is volatile first, packed and signed by the host."""

from __future__ import annotations

from ..world import World
from .base import NEUTRAL, Action, exactly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class CollectEvidence(Action):
    """``since_s``: how far back journal and logins go, 60 to 2592000. ``include``: parts, out of
    ``evidence.PARTS``."""

    name = "collect-evidence"
    words = "collect evidence of what runs now, packed and signed by the host"
    direction = NEUTRAL
    long = True

    def check(self, params: dict[str, Any]) -> None:
        """Raises Refused."""
        from ..steps import collect

        exactly(params, include=list, since_s=int)
        collect.check(params["since_s"], params["include"])

    def render(
        self, params: dict[str, Any], facts: dict[str, Any], policy: dict[str, Any]
    ) -> dict[str, Any]:
        """One step. Raises Refused."""
        self.check(params)
        args = {"include": list(params["include"]), "since_s": params["since_s"]}
        return {"steps": [{"kind": "collect", "args": args}], "confirm_s": 0, "ttl_s": 0}

    def preview(
        self, params: dict[str, Any], plan: dict[str, Any], world: World
    ) -> dict[str, list[str]]:
        """Parts and bounds."""
        from ..host import evidence

        wanted = [part for part in evidence.PARTS if part in params["include"]]
        most = len(wanted) * evidence.PART_BYTES >> 20
        return {
            "effect": [
                "collected in this order: " + ", ".join(wanted),
                f"at most {most} MiB before packing and {int(evidence.PART_S)} s for each part",
                "the pack stays on the host, readable by root, until root removes it",
            ],
            "residual": [
                "what a rootkit hides from the kernel's own tables is not in it",
                "memory of processes and contents of files are not collected",
            ],
            "cut_off": [],
            "remains": ["arguments of processes may hold secrets: the pack is not cleaned"],
        }

    def say(self, params: dict[str, Any]) -> list[tuple[str, str]]:
        """Parts, and how far back."""
        return [("parts", ", ".join(params["include"])), ("back", f"{params['since_s']} s")]
