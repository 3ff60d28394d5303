"""Facts about who works here and how: administrator, SSH session, agent, multiplexer."""

import os
import re
import socket
import struct
from pathlib import Path

import psutil

from console.fleet.workstation.system import Environment, Facts, unknown
from console.text import clean

ADMIN_GROUPS = ("sudo", "wheel", "admin")
AGENT_TIMEOUT_S = 2.0

_REQUEST_IDENTITIES = 11  # draft-ietf-sshm-ssh-agent, section "Requesting a list of keys"
_IDENTITIES_ANSWER = 12


def session_facts(env: Environment) -> Facts:
    """All facts of this module. Never raises for what a machine may be like."""
    inside = ssh_session(env)
    return {
        "administrator": administrator(),
        "ssh session": inside,
        "forwarded agent": forwarded_agent(env, inside.startswith("yes")),
        "agent keys": agent_keys(env),
        "multiplexer": multiplexer(env),
    }


def administrator() -> str:
    """Whether this user is root, or in a group that usually may become root."""
    import grp

    if os.geteuid() == 0:
        return "yes: root"
    names = set()
    for gid in os.getgroups():
        try:
            names.add(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    groups = [name for name in ADMIN_GROUPS if name in names]
    return f"yes: in group {', '.join(groups)}" if groups else "no"


def ssh_session(env: Environment) -> str:
    """Whether the console runs inside an SSH login, also where sudo took the variable away."""
    source = env.get("SSH_CONNECTION", "").split(" ")[0]
    if source:
        return f"yes: from {clean(source, 80)}"
    try:
        above = [process.name() for process in psutil.Process().parents()]
    except psutil.Error as exc:
        return unknown(f"the processes above this one cannot be read ({type(exc).__name__})")
    return "yes: sshd is above this process" if any(_is_sshd(name) for name in above) else "no"


def _is_sshd(name: str) -> bool:
    return name in ("sshd", "sshd-session")


def forwarded_agent(env: Environment, inside_ssh: bool) -> str:
    """Whether the agent in reach was forwarded: its owner's machine signs for whoever is root here.

    sshd makes such sockets as ``ssh-XXXX/agent.PID``, from OpenSSH 10.1 as ``*.sshd.*``.
    """
    path = env.get("SSH_AUTH_SOCK", "")
    if not path:
        return "no"
    name = Path(path).name
    if ".sshd." in name:
        return "yes: SSH_AUTH_SOCK belongs to sshd"
    match = re.fullmatch(r"agent\.(\d{1,9})", name)
    if match:
        try:
            if _is_sshd(psutil.Process(int(match[1])).name()):
                return "yes: SSH_AUTH_SOCK belongs to sshd"
        except psutil.Error:
            if inside_ssh:
                return unknown("the process that serves SSH_AUTH_SOCK cannot be read")
    return "no"


def agent_keys(env: Environment) -> str:
    """How many keys the running SSH agent holds, asked by its own protocol."""
    path = env.get("SSH_AUTH_SOCK", "")
    if not path:
        return "none: no agent"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(AGENT_TIMEOUT_S)
            agent.connect(path)
            agent.sendall(struct.pack(">IB", 1, _REQUEST_IDENTITIES))
            answer = b""
            while len(answer) < 9:
                chunk = agent.recv(9 - len(answer))
                if not chunk:
                    return unknown("the agent gave no answer")
                answer += chunk
    except OSError as exc:
        return unknown(f"the agent cannot be asked ({exc.strerror or 'timed out'})")
    _, kind, count = struct.unpack(">IBI", answer)
    if kind != _IDENTITIES_ANSWER:
        return unknown("the agent refused to list its keys")
    return str(count)


def multiplexer(env: Environment) -> str:
    """The terminal multiplexer around the console: others may attach to it."""
    for variable, name in (("TMUX", "tmux"), ("STY", "screen"), ("ZELLIJ", "zellij")):
        if env.get(variable):
            return f"yes: {name}"
    return "no"
