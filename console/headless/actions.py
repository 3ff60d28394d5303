"""Guarded actions for scripts and plain terminals: what is shown before a signature, and after."""

import asyncio
import shutil
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from console.engine.protocol import Engine
from console.model.guard import (
    ActionAbout,
    ActiveView,
    Custody,
    Draft,
    GuardView,
    Outcome,
    Pair,
    Preview,
    RequestView,
)
from console.model.host import HostState
from console.model.view import HostView
from console.model.words import span, utc
from console.text import clean

LOOK_S = 0.05
SETTLE_S = 0.3
FAILED = (HostState.DOWN, HostState.REFUSED, HostState.NEW_KEY)


def _told(view: HostView) -> bool:
    if view.workstation or view.state in FAILED:
        return True
    # The first frame is a greeting; what the guard has published comes with the second.
    return view.state is HostState.LIVE and view.counts.frames > 1


async def settle(engine: Engine, caught_up: Callable[[], bool], seconds: float) -> None:
    """Wait at most ``seconds`` until every host has told of its guard or has failed.

    ``caught_up``: whether all that guards have shown was fetched and looked at.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    calm: float | None = None
    while loop.time() < end:
        if all(map(_told, engine.snapshot().hosts)) and caught_up():
            calm = calm or loop.time() + SETTLE_S  # a guard may be named in the next frame
            if loop.time() >= calm:
                return
        else:
            calm = None
        await asyncio.sleep(LOOK_S)


def custody_lines(custody: Custody) -> list[str]:
    """Who took what from where."""
    return [
        custody.file,
        *pairs(
            (
                ("evidence of", f"{custody.host} ({custody.host_id}), request {custody.id[:12]}"),
                ("taken by", f"{custody.by} at {custody.workstation}, {utc(custody.at)}"),
                ("bytes", f"{custody.size:,}"),
                ("sha256", custody.sha256),
                ("signed by", f"the host's audit key {custody.signed_by}; every part verified"),
                ("custody", "in this console's witness store, and in the host's audit log"),
            )
        ),
    ]


def pairs(rows: Iterable[Pair], indent: str = "  ") -> Iterator[str]:
    """Labels and values in two columns."""
    found = [*rows]
    width = max((len(label) for label, _ in found), default=0)
    for label, value in found:
        yield f"{indent}{label.ljust(width)}  {value}"


def claims(host: str, said: Sequence[Pair]) -> Iterator[str]:
    """What a host says, so that no line of it can look like one of this console's: each begins
    with the host's name, and is folded before a terminal would."""
    width = max(30, min(78, shutil.get_terminal_size().columns - 1))
    begin = f"  | {clean(host, 16)}: "
    for label, value in said:
        words = " ".join(f"{label}: {value}".split())
        yield from textwrap.wrap(
            words, width, initial_indent=begin, subsequent_indent=f"{begin}  ",
            break_on_hyphens=False,
        )  # fmt: skip


def asked(view: RequestView, now: float) -> str:
    """When it was asked for, by what was signed; how far off by this machine's clock alone, so that
    a host which sets its clock back does not make it look new."""
    if not view.asked_at:
        return "unknown"
    away = span(max(0.0, now - view.asked_at))
    words = f"{away} ago, {utc(view.asked_at, '%Y-%m-%d %H:%M:%S')} UTC as it was signed"
    if abs(view.skew_s) >= 2:
        words += f"; the host's clock is {view.skew_s:+.0f} s from this machine's"
    return words


def when(at: float, skew_s: float, now: float) -> str:
    """A moment of the host's clock: how far off, UTC and local, and the skew where it shows."""
    here = at - skew_s
    left = here - now
    away = f"in {span(left)}" if left >= 0 else f"{span(-left)} ago"
    local = _local(here)
    skew = f"; the host's clock is {skew_s:+.0f} s from this machine's" if abs(skew_s) >= 2 else ""
    return f"{away} ({utc(at)} UTC by the host, {local} here{skew})"


def _local(at: float) -> str:
    try:
        return time.strftime("%H:%M:%S %Z", time.localtime(at))
    except (ValueError, OverflowError, OSError):
        return "--:--:--"


def request_lines(view: RequestView, now: float) -> Iterator[str]:
    """All of a request as whoever decides must see it: parameters first, the reason last."""
    risk = "  HIGH RISK" if view.about.high_risk else ""
    yield f"{view.action} on {view.host}: {view.about.words}{risk}"
    yield from pairs(view.parameters)
    if len(view.hosts) > 1:
        yield f"targets: {', '.join(view.hosts)}"
    yield from _kind(view)
    yield "effect, as this console reckons it:"
    yield from (f"  {line}" for line in view.effect or ("not reckoned: it is not verified",))
    if view.host_says:
        yield "the host says (nothing here can check it):"
        yield from claims(view.host, view.host_says)
    approved = ", ".join(view.approved_by) or "nobody yet"
    yield from pairs(
        [
            ("state", f"{view.state}, {view.mode}"),
            ("asked", asked(view, now)),
            ("expires", when(view.expires_at, view.skew_s, now)),
            ("asked by", f"{view.requester} at {view.workstation or 'an unnamed workstation'}"),
            ("approved by", f"{approved} ({view.people_needed} people are needed)"),
            ("may approve", ", ".join(view.may_be_approved_by) or "nobody"),
            ("id", view.id),
            ("six words", view.words),
        ],
        "",
    )
    if view.same_console:
        yield "both signatures come from one console"
    if not view.verified:
        yield f"NOT VERIFIED: {view.why_not_verified}"
    elif not view.may_approve:
        yield f"you do not decide: {view.why_not}"
    yield f"reason: {view.reason}"


def _kind(view: RequestView) -> Iterator[str]:
    inverse = view.about.inverse or "none: this cannot be undone"
    yield f"undone by: {inverse}; dead-man: {view.about.dead_man}"


def preview_lines(made: Preview, now: float) -> Iterator[str]:
    """What would be asked for, host by host."""
    risk = "  HIGH RISK" if made.about.high_risk else ""
    yield f"{made.action}: {made.about.words}{risk}"
    yield from pairs(made.shown)
    yield f"undone by: {made.about.inverse or 'none: this cannot be undone'}"
    for target in made.targets:
        if target.trouble:
            yield f"{target.host}: cannot be a target: {target.trouble}"
            if target.hint:
                yield f"  {target.hint}"
            continue
        yield f"{target.host}: effect, as this console reckons it:"
        yield from (f"  {line}" for line in target.effect)
        if target.host_says:
            yield f"{target.host} says (nothing here can check it):"
            yield from claims(target.host, target.host_says)
    usable = made.usable
    if usable:
        yield f"expires {when(made.expires, usable[0].skew_s, now)}"
    for risk_ in made.risks:
        yield f"this workstation: {risk_}"
    yield f"asked by {made.requester} at {made.workstation}"


def draft_lines(draft: Draft, reason: str) -> Iterator[str]:
    """What is read aloud, and the reason last."""
    yield f"id {draft.id}"
    yield f"six words: {draft.words}"
    yield f"reason: {reason}"


def outcome_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What came of it, host by host."""
    for each in outcomes:
        if each.ok:
            more = "; the way in is being confirmed" if each.confirm_until else ""
            yield f"{each.host}: {each.state or 'done'}{more}"
        else:
            hint = f" {each.hint}" if each.hint else ""
            yield f"{each.host}: refused ({each.rule}): {each.words}.{hint}"


def active_line(item: ActiveView, now: float) -> str:
    """One applied or standing action in a line."""
    people = ", ".join([item.requester, *item.approvers])
    parts = [f"{item.host}: {item.action} {item.state} by {people}"]
    if item.same_console:
        parts.append("signed at one console")
    if not item.holds:
        parts.append("LOST: what it did is no longer so")
    if item.deadline:
        needs = " and ".join(item.needs) or "confirm"
        parts.append(f"needs {needs}, else undone {when(item.deadline, item.skew_s, now)}")
    if item.ttl_until:
        parts.append(f"ends by itself {when(item.ttl_until, item.skew_s, now)}")
    if item.progress_total:
        parts.append(f"{item.progress_done} of {item.progress_total} {item.progress}".strip())
    if item.why:
        parts.append(item.why)
    return "; ".join(parts) + f" [{item.id[:12]}]"


def active_lines(item: ActiveView, now: float) -> Iterator[str]:
    """All that is known of something applied, standing or ended: the reason last."""
    yield active_line(item, now)
    yield from pairs(item.parameters)
    yield from pairs(item.result)
    for label, at in (("asked", item.asked_at), ("since", item.since), ("ended", item.ended)):
        if at:
            yield f"{label} {when(at, item.skew_s, now)}"
    yield f"id {item.id}"
    yield f"six words: {item.words}"
    if item.reason:
        yield f"reason: {item.reason}"


def list_lines(hosts: Iterable[HostView], now: float) -> Iterator[str]:
    """What waits, what is applied and stands, and what has ended, on all hosts."""
    for host in hosts:
        guard = host.guard
        if host.workstation:
            continue
        if guard is None:
            yield f"{host.name}: no guard is seen ({host.state})"
            continue
        yield from _guard_lines(host.name, guard, now)


def _guard_lines(host: str, guard: GuardView, now: float) -> Iterator[str]:
    head = []
    if guard.guard and guard.guard_known != "real":
        head.append(f"guard build {guard.guard_known or 'NOT KNOWN'}")
    for which, said in (("roster", guard.roster_ok), ("policy", guard.policy_ok)):
        if said != "same":
            head.append(f"{which}: {said or 'not told'}")
    if guard.isolation:
        head.append(guard.isolation)
    if guard.trouble:
        head.append(guard.trouble)
    head += [f"break-glass of {person} waits for a review" for person, _ in guard.unreviewed]
    yield f"{host}: {'; '.join(head) or 'guard in order'}"
    for view in guard.requests:
        judged = "verified" if view.verified else f"NOT VERIFIED: {view.why_not_verified}"
        mine = " (yours)" if view.mine else " (you may decide)" if view.may_approve else ""
        yield (
            f"  {view.state} {view.action} by {view.requester}{mine}, expires "
            f"{when(view.expires_at, view.skew_s, now)}; {judged} [{view.id[:12]}]"
        )
    yield from (f"  {active_line(item, now)}" for item in guard.active)
    yield from (f"  ended: {active_line(item, now)}" for item in guard.closed[-5:])


def about_lines(found: Sequence[ActionAbout]) -> Iterator[str]:
    """Every action there is, with its parameters."""
    for each in found:
        yield f"{each.name} ({each.about.direction}): {each.about.words}"
        for field in each.fields:
            default = f" (else {field.default})" if field.default else ""
            yield f"    {field.name}=  {field.words}{default}"
        if each.why_not:
            yield f"    not for you: {each.why_not}"


def encode(value: Any) -> str:
    """The same as one JSON document."""
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"


def code(outcomes: Sequence[Outcome]) -> int:
    """0 where every host did it, 1 where some did not or none was asked."""
    return 0 if outcomes and all(each.ok for each in outcomes) else 1
