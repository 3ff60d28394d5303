"""Step ``firewall``: the host's own rule set is put back to what the policy approves."""

from __future__ import annotations

import hashlib
import os

from ..network import nft
from ..network import ruleset as net_ruleset
from ..refused import Refused
from ..state.files import Files
from ..world import World
from .base import Step, StepFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Ruleset(Step):
    """``sha256``: digest of the rules, as the probe computes it. Our own tables stay."""

    kind = "firewall"

    def check(self, args: dict[str, Any]) -> None:
        """Raises Refused."""
        digest = args.get("sha256")
        fine = type(digest) is str and len(digest) == 64 and not digest.strip("0123456789abcdef")
        if set(args) != {"sha256"} or not fine:
            raise Refused("step", "the step firewall takes a digest of 64 hex digits")

    def words(self, args: dict[str, Any]) -> list[str]:
        """Which rules come, and which go."""
        return [
            f"the host's own firewall rules become those of {net_ruleset.APPROVED}, if their "
            f"digest is {args['sha256']}",
            "every table that is not in it goes, but those of Watchfloor; what is there now is "
            "kept, to be put back",
        ]

    def look(self, args: dict[str, Any], world: World) -> dict[str, Any]:
        """Digest of the rules of now, and of the file of ours that holds them.

        Raises StepFailed where they could not be put back.
        """
        self.check(args)
        items = net_ruleset.now(world)
        text = net_ruleset.written(world)
        why = nft.wrong(net_ruleset.change(items, text), world)
        if why:
            raise StepFailed(
                f"the rules of now cannot be put back by nft (those of iptables cannot): {why}"
            )
        data = text.encode("utf-8", "surrogateescape")
        name = hashlib.sha256(data).hexdigest()
        folder = world.place.state + "/firewall"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        Files(world.place, world.mark).write(f"{folder}/{name}", data)
        return {"sha256": nft.digest(items), "text": name}

    def do(self, args: dict[str, Any], before: dict[str, Any], world: World) -> dict[str, Any]:
        """Load them if their digest is the approved one. Raises StepFailed and Refused."""
        self.check(args)
        items, text = net_ruleset.approved(world)
        if nft.digest(items) != args["sha256"]:
            raise StepFailed(
                f"{net_ruleset.APPROVED} is not what was approved: its digest is"
                f" {nft.digest(items)}"
            )
        _become(text, args["sha256"], world)
        return {"sha256": args["sha256"]}

    def undo(self, args: dict[str, Any], before: dict[str, Any], world: World) -> None:
        """Load what was there before. Raises StepFailed."""
        if nft.digest(net_ruleset.now(world)) == before["sha256"]:
            return
        path = f"{world.place.state}/firewall/{before['text']}"
        try:
            data = Files(world.place, world.mark).read(path, nft.MAX_TEXT)
        except (FileNotFoundError, Refused) as error:
            raise StepFailed(f"the rules that were there before cannot be read: {error}") from None
        if hashlib.sha256(data).hexdigest() != before["text"]:
            raise StepFailed("the rules that were there before have been changed on the disk")
        _become(data.decode("utf-8", "surrogateescape"), before["sha256"], world)


def _become(text: str, digest: str, world: World) -> None:
    """Have the host's own rules be ``text``, in one transaction, and look at them again."""
    items = net_ruleset.now(world)
    if nft.digest(items) == digest:
        return
    world.mark("firewall before")
    nft.apply(net_ruleset.change(items, text), world)
    world.mark("firewall applied")
    found = nft.digest(net_ruleset.now(world))
    if found != digest:
        raise StepFailed(f"the rules were loaded but are others than wanted: {found}")
