"""Is a host's log whole, did two people sign what was done, and does it agree with what consoles
remember? Seven points, each said by itself; what cannot be proved is said too."""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from console.audit.checkpoint import BadCheckpoint, Checkpoint, read
from console.audit.compare import sent_and_seen
from console.audit.lives import CLOCK_BACK, Lives
from console.audit.records import Record, Walked, walk
from console.audit.report import Report
from console.audit.told import told
from console.audit.trust import Link
from console.hostside.guard.trust.sshsig import fingerprint
from console.store.witness import Seen, Sent
from console.text import clean

ORIGIN = "watchfloor/"
JUDGE_S = 300.0
"""Seconds of judging one log, far above what an honest one takes."""
CLOCKS_DIFFER = 3600
"""Seconds by which the clocks of host and console may differ before it matters here."""


class Material(msgspec.Struct, frozen=True):
    """What came from the host: hostile until shown otherwise.

    ``state`` is its state document of the same moment, None where there is none.
    """

    host: str
    lines: Sequence[bytes]
    checkpoint: bytes = b""
    state: Mapping[str, Any] | None = None
    chain: Mapping[str, Link] = {}  # rosters and policies by sha256
    fetched: int = 0  # when it came from the host itself; 0: out of a file


class Remembered(msgspec.Struct, frozen=True):
    """What this console, and its peers, keep of that host."""

    key: bytes = b""  # the pinned audit key, an SSH blob
    how: str = ""
    checkpoints: Sequence[Checkpoint] = ()
    peers: Sequence[tuple[str, Checkpoint]] = ()  # name of the peer's file, checkpoint
    sent: Sequence[Sent] = ()
    requests: Sequence[Seen] = ()
    records: Sequence[Seen] = ()
    rosters: Collection[str] = ()  # digests of rosters and policies that are our own
    host_id: str = ""  # as the host said at its enrolment
    replaced: Sequence[str] = ()  # words on each replacement of the pinned key by a person


def verify(material: Material, kept: Remembered) -> Report:
    """All seven points. Raises nothing on what a host wrote."""
    began = time.perf_counter()
    report = Report(clean(material.host))
    newest = _newest(report, material, kept)
    sizes = {c.size for c in kept.checkpoints} | {c.size for _, c in kept.peers}
    if newest is not None:
        sizes.add(newest.size)
    lives = Lives(kept.rosters, material.chain, _host_id(report, newest, kept))
    same: set[str] = set()  # ids of requests that were decided at the console that had asked
    late: list[int] = []  # the first record that came when the time for judging was over

    def take(record: Record) -> None:
        if late or time.perf_counter() - began > JUDGE_S:
            late[:] = late or [record.seq]
            return
        lives.take(record)
        if record.ev == "decide" and record.facts.get("same_console") is True:
            same.add(record.rid)

    walked = walk(material.lines, sizes, take)
    if late:
        report.lack(f"records from number {late[0]:,} on are not judged: {JUDGE_S:.0f} s are over")
    report.records = walked.size
    report.requests = list(told(lives.lives.values(), same))
    _pins(report, kept)
    _chain(report, walked)
    _root(report, walked, newest)
    _remembered(report, walked, newest, kept)
    now = max(walked.last_t, material.fetched - CLOCKS_DIFFER)
    lives.end(walked.boots[-1][1] if walked.boots else "", now)
    _signatures(report, lives, kept)
    sent_and_seen(report, walked, lives, kept.sent, kept.requests, kept.records)
    _time(report, walked)
    _state(report, lives, material.state)
    report.seconds = time.perf_counter() - began
    return report


def _host_id(report: Report, newest: Checkpoint | None, kept: Remembered) -> str:
    """Whose log it has to be: as said at the enrolment, else as in what the host's key signed."""
    every = [*kept.checkpoints, *([newest] if newest is not None else [])]
    signed = [c for c in every if c.key == kept.key]
    names = {c.origin for c in signed or every[-1:]}
    if kept.host_id:
        names.add(ORIGIN + kept.host_id)
    if len(names) > 1:
        said = ", ".join(sorted(clean(name, 80) for name in names))
        report.fail(f"the host's key signed logs of different hosts: {said}")
    if kept.host_id:
        return kept.host_id
    return min(names).removeprefix(ORIGIN) if names else ""


def _newest(report: Report, material: Material, kept: Remembered) -> Checkpoint | None:
    """The checkpoint that came with the log, where it is one of this host's key."""
    if not material.checkpoint:
        report.lack("no checkpoint came with the log: nothing says what the host signed")
        return None
    try:
        found = read(material.checkpoint)
    except BadCheckpoint as bad:
        report.fail(f"the newest checkpoint is none: {bad}")
        return None
    if kept.key and found.key != kept.key:
        report.fail(
            f"the newest checkpoint is signed by {fingerprint(found.key)}, and not by the host's "
            f"audit key {fingerprint(kept.key)}"
        )
        return None
    if not kept.key:
        report.lack(
            f"no audit key is pinned for this host; {fingerprint(found.key)} signed the checkpoint"
        )
    return found


def _chain(report: Report, walked: Walked) -> None:
    for number, why in walked.broken:
        report.fail(why, number)
    for number, why in walked.repaired:
        report.note(why, number)
    if not walked.size:
        report.lack("the log is empty")
    elif not walked.broken:
        report.prove(f"chain and numbers of {walked.size:,} records hold")


def _root(report: Report, walked: Walked, newest: Checkpoint | None) -> None:
    if newest is None:
        return
    if newest.size > walked.size:
        report.fail(
            f"the host signed {newest.size:,} records and shows {walked.size:,}: records are gone",
            walked.size,
        )
    elif walked.roots[newest.size] != newest.root:
        report.fail(
            f"the tree over the first {newest.size:,} records is not the one that the host signed"
        )
    else:
        report.prove(f"the host's key signed the tree over {newest.size:,} records")
        if newest.size < walked.size:
            late = walked.size - newest.size
            report.lack(f"the newest {late:,} records are not under a signed checkpoint yet")


def _remembered(
    report: Report, walked: Walked, newest: Checkpoint | None, kept: Remembered
) -> None:
    """Everything that was ever signed must be a prefix of this log."""
    key = kept.key or (newest.key if newest else b"")
    every = [("this console", c) for c in kept.checkpoints]
    every += [(clean(name), c) for name, c in kept.peers]
    good = 0
    at_size: dict[int, tuple[str, Checkpoint]] = {}
    if newest is not None and newest.key == key:
        at_size[newest.size] = ("us just now", newest)
    for source, seen in every:
        if seen.key != key:
            report.note(f"a checkpoint of {source} is not signed by this host's key: left out")
            continue
        other = at_size.setdefault(seen.size, (source, seen))
        if other[1].root != seen.root:
            report.fail(
                f"FORK: the host signed two different logs of {seen.size:,} records, one shown to "
                f"{other[0]} and one to {source}: both signed checkpoints are the proof"
            )
        elif seen.size > walked.size:
            report.fail(
                f"ROLLED BACK: the host showed {seen.size:,} records to {source}, and shows "
                f"{walked.size:,} now",
                walked.size,
            )
        elif walked.roots[seen.size] != seen.root:
            signed = " The host signed both: that is proof of a fork" if newest else ""
            report.fail(
                f"CHANGED: a record before number {seen.size:,} is not what the host showed to "
                f"{source}.{signed}"
            )
        else:
            good += 1
    if not every:
        report.lack("no checkpoint of this host was remembered before: nothing to compare with")
    elif good == len(every):
        report.prove(f"{good:,} remembered checkpoints are prefixes of this log")


def _pins(report: Report, kept: Remembered) -> None:
    for words in kept.replaced:
        report.note(words)


def _signatures(report: Report, lives: Lives, kept: Remembered) -> None:
    report.signatures = lives.signatures
    for number, why in lives.wrong:
        report.fail(clean(why, 300), number)
    for number, why in lives.notes:
        report.note(clean(why, 300), number)
    for number, what in lives.trust.first:
        if kept.rosters:
            report.fail(f"{clean(what)}, and not one that this console knows", number)
        else:
            report.lack(f"{clean(what)}; this console has no copy of its own to compare it with")
    if lives.unjudged:
        report.lack(f"{lives.unjudged} signatures cannot be judged: no roster was in force")
    if not lives.wrong:
        count = len(lives.lives)
        report.prove(
            f"{count:,} requests: every action rests on the signatures of two different people of "
            f"the roster then in force, or on one that policy lets begin ({lives.signatures:,} "
            "signatures)"
        )


def _time(report: Report, walked: Walked) -> None:
    seen: set[str] = set()
    for number, boot in walked.boots:
        if boot in seen:
            report.fail(
                "returns to an earlier boot of the host: a snapshot was put back, or records of "
                "two logs were mixed",
                number,
            )
        seen.add(boot)
    for number, ev, seconds in walked.backwards:
        if seconds > CLOCK_BACK and ev not in ("refused", "clock_reset"):
            report.fail(f"{clean(ev)} was written with a clock {seconds} s back", number)
        else:
            report.note(f"the clock went back by {seconds} s", number)
    if len(walked.boots) > 1:
        report.note(f"the host was started {len(walked.boots) - 1} times while it wrote this log")


def _state(report: Report, lives: Lives, state: Mapping[str, Any] | None) -> None:
    """What the host says is in force now is what its log says."""
    if state is None:
        report.lack("the host's present state was not asked for, so it is not compared")
        return
    active = state.get("active")
    entries = (
        [entry for entry in active if isinstance(entry, dict)] if isinstance(active, list) else []
    )
    says = {str(e.get("id")) for e in entries if e.get("state") in ("APPLIED", "STANDING")}
    holding = lives.holding()
    for rid in sorted(holding - says):
        life = lives.lives[rid]
        report.fail(
            f"by its log {clean(life.action)} ({rid[:12]}) is in force, and the host says it is "
            "not: what undid it was not recorded",
            life.records[-1],
        )
    for rid in sorted(says - holding):
        report.fail(f"the host says that {clean(rid, 12)} is in force, and its log does not")
    for entry in entries:
        if entry.get("holds") is False:
            report.note(f"{clean(str(entry.get('action')))} was recorded and is no longer so")
    if holding == says:
        report.prove(f"the state of the host is that of its last record ({len(says)} in force)")
