"""What a new request would do, host by host, and the bytes that would be signed. Pure."""

from collections.abc import Iterator

from console.model.guard import Draft, Preview, TargetPreview
from console.model.words import span, utc
from console.tui.meaning.guarded import LABEL
from console.tui.style.look import Cell, Look

SKEW_S = 5.0
"""Clocks that differ by less are not told of."""


def _fact(label: str, value: object, style: str = "") -> Cell:
    return [(f"  {label:{LABEL - 1}} ", "dim"), (str(value), style)]


def preview_page(preview: Preview, look: Look) -> Iterator[Cell]:
    """Parameters first, then each host: what was worked out here, what the host says."""
    yield [(f" {preview.action} ", "bold"), (look.rule * 40, "dim")]
    for label, value in preview.shown:
        yield _fact(label, value, "bold")
    yield _fact("does", preview.about.words)
    yield _fact("undone by", preview.about.inverse or "NOTHING: there is no way back")
    for risk in preview.risks:
        yield [(f"  {look.mark('warn')} this workstation: {risk}", "warn")]
    for target in preview.targets:
        yield from _target(target, look)


def _target(target: TargetPreview, look: Look) -> Iterator[Cell]:
    yield []
    yield [(f" on {target.host} ", "bold"), (look.rule * 40, "dim")]
    if target.trouble:
        yield [(f"  {look.mark('bad')} left out: {target.trouble}. {target.hint}", "bad")]
        return
    if target.effector != "real":
        words = "a guard for demonstrations: nothing is really done"
        yield [(f"  {look.mark('warn')} {words}", "warn")]
    for line in target.effect:
        yield [(f"  {line}", "")]
    if target.confirm_s:
        yield _fact("undone after", f"{span(target.confirm_s)} unless this console gets through")
    yield _fact("stands", f"for {span(target.ttl_s)}" if target.ttl_s else "until released")
    if abs(target.skew_s) >= SKEW_S:
        yield _fact("its clock", f"{target.skew_s:+.0f} s from this one; times are the host's")
    for label, value in target.host_says:
        yield _fact(f"host says {label.replace('_', ' ')}"[: LABEL - 1], value, "warn")


def draft_page(preview: Preview, draft: Draft, reason: str, mode: str) -> Iterator[Cell]:
    """Who signs, until when, the words that are read aloud, and the reason last."""
    yield []
    yield _fact("requested by", preview.requester)
    yield _fact("from", preview.workstation)
    yield _fact("hosts", ", ".join(draft.hosts))
    yield _fact("mode", mode.replace("_", " "), "" if mode == "two_before" else "warn")
    yield _fact("runs out", f"{utc(preview.expires)} UTC by the host's clock")
    yield _fact("six words", draft.words, "accent")
    yield _fact("id", draft.id)
    yield _fact("reason", reason)
