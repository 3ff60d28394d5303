"""What a new request would do, host by host, the bytes to be signed, and the answers. Pure."""

from collections.abc import Iterator, Sequence

from console.model.guard import BREAK_GLASS, TWO_BEFORE, Draft, Outcome, Preview, TargetPreview
from console.model.words import utc
from console.tui.meaning.guarded import (
    SKEW_S,
    claims,
    dead_man,
    effect_lines,
    fact,
    head,
    undone,
    whole_id,
)
from console.tui.meaning.guards import HURRY_S, left
from console.tui.style.look import Cell, Look

MODES = {
    TWO_BEFORE: "two people before anything happens",
    "one_then_ratify": "it is applied at once, and undone unless another person ratifies it",
    BREAK_GLASS: "BREAK-GLASS: you alone, told to everybody, and somebody must review it",
}


def preview_page(preview: Preview, look: Look) -> Iterator[Cell]:
    """Parameters first, then each host: what was worked out here, what the host says."""
    about = preview.about
    yield head(preview.action, look)
    for label, value in preview.shown:
        yield fact(label, value, "bold")
    usable, out = preview.usable, [each for each in preview.targets if each.trouble]
    yield fact("hosts", ", ".join(target.host for target in usable), "bold")
    for target in out:
        words = f"left out: {target.trouble.rstrip('.')}. {target.hint}".rstrip()
        yield fact(target.host, f"{look.mark('bad')} {words}", "bad")
    yield fact("does", about.words)
    yield undone(about)
    yield fact("if nobody confirms", dead_man(about.dead_man))
    for target in usable:
        yield from _target(target, look)


def _target(target: TargetPreview, look: Look) -> Iterator[Cell]:
    yield []
    yield head(f"effect on {target.host}, worked out here", look)
    if target.effector != "real":
        words = "a guard for demonstrations: nothing is really done"
        yield [(f"  {look.mark('warn')} {words}", "warn")]
    yield from effect_lines(target.effect)
    if abs(target.skew_s) >= SKEW_S:
        yield fact("its clock", f"{target.skew_s:+.0f} s from this one; times are the host's")
    yield from claims(target.host, target.host_says, look)


def draft_page(
    preview: Preview, draft: Draft, reason: str, mode: str, look: Look, now: float
) -> Iterator[Cell]:
    """Who signs, until when, the words that are read aloud, this workstation, the reason last."""
    yield []
    yield head("people and time", look)
    yield fact("requested by", preview.requester)
    yield fact("people", f"{preview.about.people} in all; nobody approves what they asked for")
    yield fact(
        "mode", MODES.get(mode, mode.replace("_", " ")), "" if mode == TWO_BEFORE else "warn"
    )
    until = ends(preview)
    words = f"{left(until, now)} (at {utc(preview.expires)} UTC by the host's clock)"
    yield fact("runs out in", words, "bad" if until - now < HURRY_S else "")
    yield fact("six words", draft.words, "accent")
    yield from whole_id(draft.id)
    yield []
    yield from workstation(preview.workstation, preview.risks, look)
    yield []
    yield head("reason", look)
    yield [(f"  {reason}", "")]


def ends(preview: Preview) -> float:
    """When the request runs out, by this machine's clock."""
    usable = preview.usable
    return preview.expires - (usable[0].skew_s if usable else 0.0)


def workstation(name: str, risks: Sequence[str], look: Look) -> Iterator[Cell]:
    """The machine that signs, and what is risky about it."""
    yield head("this workstation", look)
    if name:
        yield fact("name", name)
    for risk in risks:
        yield [(f"  {look.mark('warn')} {risk}", "warn")]
    if not risks:
        yield [("  nothing about it looks risky from here", "dim")]


def answers_page(outcomes: Sequence[Outcome], look: Look) -> Iterator[Cell]:
    """One host a line, those that refused first."""
    for each in sorted(outcomes, key=lambda each: each.ok):
        if each.ok:
            style, words = "ok", each.state or "done"
            if each.words:
                words += f": {each.words}"
            if each.confirm_until:
                words += "; whether it can still be reached is being tried over a new connection"
            yield [(f" {each.host:16} ", "bold"), (words, style)]
            continue
        rule = {"link": "not reached", "target": "left out"}.get(
            each.rule, f"refused [{each.rule}]"
        )
        yield [(f" {each.host:16} ", "bold"), (f"{look.mark('bad')} {rule}: {each.words}", "bad")]
        if each.hint:
            yield [(f"   {each.hint}", "")]


def left_out(preview: Preview) -> str:
    """Why no host at all can be asked, in one line."""
    told = [
        f"{each.host}: {each.trouble.rstrip('.')}. {each.hint}".rstrip()
        for each in preview.targets[:3]
    ]
    more = len(preview.targets) - 3
    return "; ".join(told) + (f" (and {more} more)" if more > 0 else "") or "no host answered"
