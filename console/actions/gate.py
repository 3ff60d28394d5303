"""Whether anything may be signed from this console at all. Faces ask; only this decides."""

import os
from collections.abc import Mapping

import msgspec

from console.errors import ActionError


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer depends on."""

    read_only: bool = False
    replay: bool = False
    person: str = ""  # of [operator]
    signing_key: str = ""
    login_key: str = ""
    allow_ssh: bool = False  # the local profile lets this person sign in an SSH session
    chain_trouble: str = ""  # why the console's own roster and policy cannot be used


def over_ssh(environ: Mapping[str, str]) -> bool:
    """Whether this console was started in an SSH session."""
    return any(environ.get(name) for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"))


def forwarded_agent(environ: Mapping[str, str]) -> bool:
    """Whether the agent in reach lives on another machine: sshd names its sockets so."""
    path = environ.get("SSH_AUTH_SOCK", "")
    name = os.path.basename(path)
    return name.startswith("agent.") and "/ssh-" in path and over_ssh(environ)


def refusal(now: Situation, environ: Mapping[str, str]) -> ActionError | None:
    """Why nothing may be signed here, or None."""
    if now.replay:
        return ActionError(
            "a recording is shown: nothing can be done to a host from here",
            hint="Start `watchfloor` without a recording.",
            rule="replay",
        )
    if now.read_only:
        return ActionError(
            "this console is read-only",
            hint="`read_only` in the configuration says so: watchfloor config show.",
            rule="read-only",
        )
    if not now.person or not now.signing_key or not now.login_key:
        lacks = "person" if not now.person else ""
        lacks = lacks or ("signing_key" if not now.signing_key else "login_key")
        return ActionError(
            f"[operator] names no {lacks}",
            hint="See docs/configuration.md: `person`, `signing_key` and `login_key`.",
            rule="operator",
        )
    if now.chain_trouble:
        return ActionError(
            f"the roster and policy of this console cannot be used: {now.chain_trouble}",
            hint="Run `watchfloor roster verify`.",
            rule="chain",
        )
    if now.allow_ssh:
        return None
    if forwarded_agent(environ):
        return ActionError(
            "an SSH agent of another machine is forwarded to here: whoever rules this machine can "
            "have it sign",
            hint="Log in without agent forwarding; `allow_ssh = true` in [operator] if this "
            "machine is meant for signing.",
            rule="agent",
        )
    if over_ssh(environ):
        return ActionError(
            "this console runs in an SSH session, so its screen and keys are another machine's",
            hint="Run it where you sit, or set `allow_ssh = true` in [operator] if this machine "
            "is a bastion meant for signing.",
            rule="ssh",
        )
    return None


def risks(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What is said of this workstation beside what will be signed."""
    told = []
    if over_ssh(environ):
        told.append("this console runs in an SSH session")
    if forwarded_agent(environ):
        told.append("an SSH agent is forwarded to this machine")
    if environ.get("SSH_AUTH_SOCK") and not forwarded_agent(environ):
        told.append("an SSH agent runs here; the signing key does not belong into it")
    if os.geteuid() == 0:
        told.append("this console runs as root")
    return tuple(told)
