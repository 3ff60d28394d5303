"""A host as the inventory declares it, and the states a live session can be in."""

from enum import StrEnum

import msgspec


class HostState(StrEnum):
    """What the console can say about its session with a host right now."""

    CONNECTING = "CONNECTING"
    LIVE = "LIVE"
    STALE = "STALE"  # connected, but no frame for three periods
    DOWN = "DOWN"  # no connection; retried with backoff
    REFUSED = "REFUSED"  # our key was refused twice or cannot be used; waits for a person
    NEW_KEY = "NEW-KEY"  # the host showed another key than the pinned one; waits for a person

    @property
    def waits_for_person(self) -> bool:
        """True when the session does not try again by itself."""
        return self in (HostState.REFUSED, HostState.NEW_KEY)


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One host of the inventory, with everything needed to reach it.

    ``host_key`` holds OpenSSH public key lines (``ssh-ed25519 AAAA... [comment]``) that the host
    may show; ``host_ca`` public key lines of certificate authorities. One of the two is needed for
    a connection; a host with neither is shown with the reason and never connected.
    """

    name: str
    address: str
    port: int = 22
    user: str = "wfmon"
    key: str = ""  # path of the private key; empty: only the agent's keys
    certificate: str = ""  # path of the user certificate; empty: ``<key>-cert.pub`` where it exists
    agent: bool = False  # also offer the keys of the running agent
    host_key: tuple[str, ...] = ()
    host_ca: tuple[str, ...] = ()
    jump: tuple[str, ...] = ()  # names of inventory hosts, outermost first
    transport: str = "asyncssh"  # "asyncssh" or "openssh" (the system's ssh program)
    tier: int = 0  # 0 agentless, 1 forced command, 2 sensor
    python: str = "python3"  # interpreter on the host, tier 0 only
    compression: bool = False
    groups: tuple[str, ...] = ()
    site: str = ""
    zone: str = ""
    environment: str = ""
    risk: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    guard_id: str = ""  # host_id of its guard; empty: not enrolled with one, or not pinned
    listeners: tuple[str, ...] = ()  # declared listeners: "tcp/22", "tcp/127.0.0.1:8000"
