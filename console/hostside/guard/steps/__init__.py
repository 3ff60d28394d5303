"""Every kind of step by name. ``simulated`` replaces them all in another build."""

from __future__ import annotations

from importlib import import_module

from ..built import EFFECTOR
from ..refused import Refused
from .base import Step

# kind -> module and class
_STEPS = {
    "nft": "nft.Nft",  # a table of ours as a whole, with or without a dead-man
    "flows": "flows.EndFlows",  # connections ended by INET_DIAG_DESTROY
    "firewall": "firewall.Ruleset",  # the host's own rule set put back
    "unit": "unit.Unit",  # systemctl start, stop, restart
    "file": "file.WriteFile",  # a file of a declared place written as a whole
    "account": "account.Account",  # locked, sessions ended, keys refused
    "process": "process.EndProcess",
    "packages": "packages.Install",
    "gateway": "gateway.Gateway",  # a key blocked or limited by the declared adapter
    "rename": "rename.Rename",  # within one file system, by folder handles
    "link": "link.Switch",  # the `current` link of a model
    "verify": "verify.VerifyManifest",
    "health": "health.Health",
    "space": "space.Space",
    "destroy": "destroy.Destroy",
    "collect": "collect.Collect",
    "trust": "trust.Install",  # roster, policy or guard replaced
    "undo": "undo.Undo",  # the steps of a standing request, undone
}

_OWN = frozenset(("trust", "undo"))  # they touch the guard's own files, in every build

KINDS = tuple(_STEPS)


def step(kind: str) -> Step:
    """The step of that kind, as this build carries it out. Raises Refused."""
    where = _STEPS.get(kind)
    if where is None:
        raise Refused("step", "no step of that kind is known here")
    module, _, name = where.partition(".")
    found: Step = getattr(import_module("." + module, __package__), name)()
    if EFFECTOR != "real" and kind not in _OWN:
        from .simulated import Simulated

        return Simulated(kind, found)
    return found
