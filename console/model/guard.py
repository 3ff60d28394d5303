"""Guarded actions as faces see them: what may be asked for, what waits, what stands.

Text in these structs was cleaned. Times are seconds since the epoch by the host's clock; add
``-skew_s`` for this machine's.
"""

from collections.abc import Awaitable, Callable

import msgspec

TWO_BEFORE, ONE_THEN_RATIFY, BREAK_GLASS = "two_before", "one_then_ratify", "break_glass"

Pair = tuple[str, str]
"""A label and its value."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What signing needs from the person at the terminal."""

    kind: str  # "pin" (of a hardware key), "passphrase" (of a key file), "touch", "confirm"
    text: str  # what ssh-keygen said, cleaned
    key: str = ""  # path of the key


Ask = Callable[[Prompt], Awaitable[str | None]]
"""Answers a prompt, None to give up. For a "touch" there is nothing to answer: show it until the
call is cancelled, which happens as soon as the key was touched; returning None gives up."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of action it is, by the table of the guard, never by what a host says."""

    words: str = ""  # what it does, in one line
    direction: str = "neutral"  # "contain", "open", "destroy", "neutral"
    people: int = 2
    inverse: str = ""  # the action that undoes it, "" for none
    dead_man: str = "none"  # "kernel", "timer", "none"
    high_risk: bool = False  # the host's name is typed before signing
    starter: str = "approver"  # "requester": it starts only when the requester starts it
    long: bool = False
    ratify: bool = False
    break_glass: bool = False


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter, for a form."""

    name: str
    # "text", "number", "choice", "flag"; several: "list", "numbers", "versions" (NAME=VERSION)
    kind: str = "text"
    words: str = ""
    choices: tuple[str, ...] = ()
    default: str = ""
    optional: bool = False  # may be left empty


class Custody(msgspec.Struct, frozen=True, kw_only=True):
    """Who took which evidence, when and from where, after it was verified."""

    host: str
    host_id: str
    id: str  # of the request that collected it
    by: str
    workstation: str
    at: float  # by this machine's clock
    size: int
    sha256: str
    signed_by: str  # fingerprint of the host's audit key
    file: str


class ActionAbout(msgspec.Struct, frozen=True, kw_only=True):
    """One action that there is, as seen from one host."""

    name: str
    about: About = About()
    fields: tuple[Field, ...] = ()
    modes: tuple[str, ...] = (TWO_BEFORE,)  # what the console's own policy and roster allow
    why_not: str = ""  # why the operator may not ask for it; empty: may


class TargetPreview(msgspec.Struct, frozen=True, kw_only=True):
    """One host's answer to a challenge, checked. ``trouble`` says why it cannot be a target."""

    host: str
    trouble: str = ""
    hint: str = ""
    host_id: str = ""
    effect: tuple[str, ...] = ()  # computed here from the plan
    host_says: tuple[Pair, ...] = ()  # the host's own claims: what ("effect", ...), line
    skew_s: float = 0.0  # the host's clock minus this machine's
    now: int = 0
    effector: str = ""
    confirm_s: int = 0
    ttl_s: int = 0
    binding: str = ""  # canonical text, sent beside the request to this host only
    plan: str = ""  # digest


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would be asked for, host by host. Only hosts without trouble become targets."""

    action: str
    about: About
    params: str  # canonical JSON
    shown: tuple[Pair, ...]  # parameters for a person, the most important first
    targets: tuple[TargetPreview, ...]
    requester: str
    workstation: str
    modes: tuple[str, ...]
    not_before: int = 0
    expires: int = 0
    risks: tuple[str, ...] = ()  # state of this workstation, said before signing

    @property
    def usable(self) -> tuple[TargetPreview, ...]:
        """Targets that can be asked."""
        return tuple(target for target in self.targets if not target.trouble)


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes that a signature will stand under, and what is read aloud of them."""

    id: str
    words: str
    data: bytes
    hosts: tuple[str, ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one host answered."""

    host: str
    ok: bool
    id: str = ""
    state: str = ""
    rule: str = ""  # which rule refused it; "link" where the host was not reached
    words: str = ""
    hint: str = ""
    confirm_until: int = 0  # reachability is being confirmed until then; the result is an event


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """One request on one host, as that host's telemetry shows it and this console judged it."""

    id: str
    words: str  # six words of the id
    host: str
    hosts: tuple[str, ...] = ()  # all targets, by inventory name where known, else by host id
    settled: tuple[str, ...] = ()  # targets that tell it was carried out or ended there already
    action: str = ""
    about: About = About()
    mode: str = TWO_BEFORE
    parameters: tuple[Pair, ...] = ()
    effect: tuple[str, ...] = ()  # computed here
    host_says: tuple[Pair, ...] = ()
    requester: str = ""
    approved_by: tuple[str, ...] = ()
    denied_by: tuple[str, ...] = ()
    may_be_approved_by: tuple[str, ...] = ()
    people_needed: int = 2
    state: str = "PENDING"
    asked_at: float = 0.0  # by the signed request itself, on the clock of its hosts
    received_at: float = 0.0
    expires_at: float = 0.0
    confirm_s: int = 0  # of the plan; 0: nothing is confirmed
    skew_s: float = 0.0
    workstation: str = ""  # where it was signed, by the requester's own word
    same_console: bool = False
    verified: bool = False  # signature, roster, host key, guard and plan hold by our own reckoning
    why_not_verified: str = ""
    mine: bool = False
    may_approve: bool = False
    may_start: bool = False
    why_not: str = ""  # why it may not be approved here and now
    reason: str = ""  # shown last


class ActiveView(msgspec.Struct, frozen=True, kw_only=True):
    """What is applied or stands on a host, by that host's own word."""

    id: str
    host: str
    action: str = ""
    words: str = ""
    about: About = About()
    parameters: tuple[Pair, ...] = ()
    state: str = ""
    mode: str = ""
    requester: str = ""
    approvers: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  # what must still come: "confirm", "ratify"
    since: float = 0.0
    deadline: float = 0.0  # reverts then unless confirmed or ratified; 0: none
    ttl_until: float = 0.0  # ends then by itself; 0: stands until released
    skew_s: float = 0.0
    progress_done: int = 0
    progress_total: int = 0
    progress: str = ""
    result: tuple[Pair, ...] = ()
    holds: bool = True  # False: what was done is no longer so (a firewall restart, ...)
    lost: int = 0  # how often the guard found that, whether or not it could put it back
    same_console: bool = False
    why: str = ""  # of a closed one: how it ended
    ended: float = 0.0  # of a closed one
    reason: str = ""  # from this console's own documents; empty: it has never seen the request
    asked_at: float = 0.0  # from there too


class GuardView(msgspec.Struct, frozen=True, kw_only=True):
    """The guard of one host: raw documents judged by this console."""

    host_id: str = ""
    effector: str = ""
    guard: str = ""  # sha256 of its file
    guard_known: str = ""  # what this console knows of that build; empty: unknown, nothing signed
    roster: str = ""
    policy: str = ""
    serials: tuple[int, int] = (0, 0)  # of roster and policy
    roster_ok: str = ""  # in words, compared with the console's own chain; "same" where it is
    policy_ok: str = ""
    requests: tuple[RequestView, ...] = ()
    active: tuple[ActiveView, ...] = ()
    closed: tuple[ActiveView, ...] = ()
    isolation: str = ""  # in words; empty: not isolated
    unreviewed: tuple[Pair, ...] = ()  # break-glass that nobody else has looked at: person, id
    checkpoint: int = 0  # records of its audit log
    missing: int = 0  # documents that are named and have not come yet
    trouble: str = ""


class GuardDocs(msgspec.Struct, frozen=True, kw_only=True):
    """What a host's probe gave of its guard: raw bytes, read only where signatures are checked."""

    boot_id: str = ""
    docs: tuple[tuple[str, str, bytes], ...] = ()  # kind as the host calls it, sha256, bytes
    missing: int = 0  # named, but not come yet
    trouble: str = ""  # why something named never comes
