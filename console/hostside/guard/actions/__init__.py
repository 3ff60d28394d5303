"""Every action by name, imported when asked for: a call of the guard needs one of them."""

from __future__ import annotations

from importlib import import_module

from ..refused import Refused
from .base import Action

# name -> module and class
_ACTIONS = {
    "isolate": "isolate.Isolate",
    "release": "release.Release",
    "disconnect-inbound": "inbound.DisconnectInbound",
    "block-source": "source.BlockSource",
    "restore-firewall": "firewall.RestoreFirewall",
    "block-api-key": "apikey.BlockApiKey",
    "limit-api-key": "apikey.LimitApiKey",
    "restart-hardened": "hardened.RestartHardened",
    "apply-update": "update.ApplyUpdate",
    "block-user": "user.BlockUser",
    "unblock-user": "user.UnblockUser",
    "stop-service": "service.StopService",
    "start-service": "service.StartService",
    "kill-process": "process.KillProcess",
    "quarantine-model": "quarantine.QuarantineModel",
    "rollback-model": "rollback.RollbackModel",
    "promote-model": "promote.PromoteModel",
    "collect-evidence": "evidence.CollectEvidence",
    "secure-delete": "delete.SecureDelete",
    "install-roster": "install.InstallRoster",
    "install-policy": "install.InstallPolicy",
    "install-guard": "install.InstallGuard",
}

NAMES = tuple(_ACTIONS)


def action(name: str) -> Action:
    """The action of that name. Raises Refused."""
    where = _ACTIONS.get(name)
    if where is None:
        raise Refused("action", "no action of that name is known here")
    module, _, kind = where.partition(".")
    found: Action = getattr(import_module("." + module, __package__), kind)()
    return found
