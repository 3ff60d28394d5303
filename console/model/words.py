"""How numbers and events are put into words, the same on screens and in plain lines."""

import math
import re
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from console.model.event import Event
from console.model.host import HostState

INFO, WARN, BAD = "info", "warn", "bad"

_UNITS = ("B", "K", "M", "G", "T", "P")

_SEVERITY = {
    "auth.failed": WARN,
    "audit.fork": BAD,
    "audit.full": WARN,
    "audit.other-key": BAD,
    "audit.rollback": BAD,
    "audit.unkept": WARN,
    "audit.unreadable": WARN,
    "audit.unsigned": BAD,
    "auth.accepted": INFO,
    "auth.sudo": INFO,
    "clock.jump": WARN,
    "gpu.lost": BAD,
    "gpu.slow": WARN,
    "gpu.process.new": WARN,
    "guard.applied": WARN,
    "guard.approval-wanted": WARN,
    "guard.break-glass": BAD,
    "guard.counter-back": BAD,
    "guard.doubted": BAD,
    "guard.failed": BAD,
    "guard.isolation-lost": BAD,
    "guard.lost": BAD,
    "guard.put-back": WARN,
    "guard.refused": WARN,
    "guard.reverted": WARN,
    "guard.trust-differs": BAD,
    "guard.unknown-build": BAD,
    "guard.unreachable": BAD,
    "host.finding": WARN,
    "host.key-changed": BAD,
    "host.rebooted": WARN,
    "listener.new": WARN,
    "listener.gone": INFO,
    "log.gap": WARN,
    "plugin.given-up": BAD,
    "plugin.less-confined": WARN,
    "plugin.refused": WARN,
    "plugin.stopped": WARN,
    "probe.bad-verb": WARN,
    "probe.error": WARN,
    "record.left-out": WARN,
    "record.stopped": WARN,
    "replay.damaged": WARN,
    "replay.ended": WARN,
    "store.unavailable": WARN,
    "store.moved": WARN,
    "weights.opened": WARN,
}

_SENTENCE = {
    "audit.fork": "AUDIT LOG FORKED: {reason}; {hint}",
    "audit.full": "{reason}",
    "audit.kept": "evidence of guarded actions is kept again",
    "audit.other-key": "AUDIT LOG: {reason}; {hint}",
    "audit.rollback": "AUDIT LOG ROLLED BACK: {reason}; {hint}",
    "audit.unkept": "evidence of guarded actions is not kept: {reason}",
    "audit.unreadable": "AUDIT LOG: {reason}; {hint}",
    "audit.unsigned": "AUDIT LOG: {reason}; {hint}",
    "auth.accepted": "login of {user} from {source} by {method}",
    "auth.failed": "login of {user} from {source} refused",
    "auth.sudo": "sudo by {user}: {command}",
    "clock.jump": "clock jumped by {seconds} s",
    "demo.stage": "incident of the demo [{key}]: {see}",
    "gpu.lost": "GPU {key} lost: {error}",
    "gpu.slow": "GPU {key} does not answer: {error}",
    "gpu.process.new": "new process on GPU {gpu}: {name} (pid {pid}, {user})",
    "guard.applied": "{action} is applied ({people}); undone unless confirmed",
    "guard.approval-wanted": "{requester} asks for {action} on {hosts}: a second person decides "
    "[{words}]",
    "guard.break-glass": "{person} has broken the glass, and nobody has reviewed it",
    "guard.closed": "{action} of {people} has ended: {why}",
    "guard.confirmed": "can still be reached after {action}; it is {state}",
    "guard.counter-back": "key {fingerprint} counts backwards ({before}, then {counter}): it "
    "may have a twin",
    "guard.done": "{action} is done ({people})",
    "guard.doubted": "shows a request for {action} that does not hold: {why}",
    "guard.failed": "{action} of {people} failed and was undone: {why}",
    "guard.isolation-lost": "ISOLATION LOST: the rules of {people} were gone, the host open",
    "guard.lost": "what {action} of {people} did was no longer so",
    "guard.put-back": "{action} of {people} is in force again: its guard put it back",
    "guard.refused": "{action} of {people} was refused: {why}",
    "guard.released": "{action} of {people} was released: {why}",
    "guard.reverted": "{action} of {people} was undone: {why}",
    "guard.standing": "{action} stands ({people})",
    "guard.trust-differs": "its {which} {said}",
    "guard.unknown-build": "its guard is a build that this console does not know: {sha256}",
    "guard.unreachable": "could not be reached again after {action}: {why}",
    "host.finding": "{finding}",
    "host.key-changed": "host key changed: {offered}",
    "host.rebooted": "rebooted",
    "kernel.xid": "Xid {xid} on {pci}: {message}",
    "listener.new": "new listener {key} of {name} (pid {pid})",
    "listener.gone": "listener {key} is gone",
    "log.gap": "events are missing: {reason}",
    "log.line": "{identifier}: {message}",
    "process.new": "new process {name} (pid {pid}, {user}): {cmdline}",
    "plugin.given-up": "plugin {key} is given up: {reason}",
    "plugin.less-confined": "plugin {key} is held less than usual on this kernel: {missing}",
    "plugin.refused": "plugin {key} is not loaded: {reason}",
    "plugin.started": "plugin {key} {version} has started",
    "plugin.stopped": "plugin {key} stopped: {reason}; it starts again after {again_s} s",
    "store.moved": "{reason}: {to}",
    "record.left-out": "too long to be recorded: {field}",
    "record.stopped": "recording to {file} has ended: {reason}",
    "replay.damaged": "an event of the recording is damaged: {reason}",
    "replay.ended": "the recording ends here: {reason}",
    "store.unavailable": "nothing is kept on disk: {reason}",
    "weights.opened": "{name} (pid {pid}, {user}) opened {path}",
}


class _Facts(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


MILD_XIDS = frozenset({13, 31, 43, 45, 63})
"""Xids that a faulty program or a finished repair causes; every other one speaks of hardware."""


def xid_severity(xid: object) -> str:
    """``warn`` for an Xid of a program or of a finished repair, ``bad`` for any other."""
    return WARN if isinstance(xid, int) and xid in MILD_XIDS else BAD


def severity(event: Event) -> str:
    """``info``, ``warn`` or ``bad``: how an operator should see it before any rule judges it."""
    if event.kind == "kernel.xid":
        return xid_severity(event.facts.get("xid"))
    if event.kind == "host.state":
        to = str(event.facts.get("to", ""))
        if to in (HostState.NEW_KEY, HostState.REFUSED, HostState.DOWN):
            return BAD
        return WARN if to == HostState.STALE else INFO
    if event.kind == "auth.accepted" and (by_password(event) or _refused_before(event)):
        return WARN
    if event.kind == "auth.sudo" and event.facts.get("doubted") is True:
        return WARN
    return _SEVERITY.get(event.kind, INFO)


def by_password(event: Event) -> bool:
    """Whether a login needed no key: what was guessed or stolen elsewhere is enough for it."""
    return event.facts.get("method") == "password"


def _refused_before(event: Event) -> int:
    count = event.facts.get("refused_before")
    return count if isinstance(count, int) else 0


def sentence(event: Event) -> str:
    """What happened, in a few words. The text was cleaned when it arrived."""
    if event.kind == "host.state":
        reason = without_host(event.host, str(event.facts.get("reason") or ""))
        return f"is {event.facts.get('to', '?')}" + (f": {reason}" if reason else "")
    if event.kind == "listener.new" and not event.facts.get("name"):
        return f"new listener {event.key}, its program is not visible"
    form = _SENTENCE.get(event.kind)
    if form is None:
        rest = " ".join(f"{name}={value}" for name, value in event.facts.items())
        return f"{event.kind} {event.key} {rest}".strip()
    facts = {k: "?" if v is None else v for k, v in event.facts.items()}
    if event.kind == "gpu.process.new" and "," in str(facts.get("gpu")):
        form = form.replace("GPU ", "GPUs ", 1)
    words = form.format_map(_Facts(facts | {"key": event.key}))
    if event.kind == "auth.accepted" and (count := _refused_before(event)):
        logins = "1 refused login" if count == 1 else f"{count} refused logins"
        words += f" after {logins} from the same address"
    return words


def refusals(count: int, source: str, users: Sequence[str]) -> str:
    """``count`` refused logins from one address in a sentence that names the first ``users``."""
    shown = ", ".join(user or "?" for user in users[:4])
    more = f" and {len(users) - 4} more" if len(users) > 4 else ""
    return (
        f"logins from {source or '?'} refused, {count} times, "
        f"user{'s' if len(users) > 1 else ''} {shown}{more}"
    )


def together(events: Sequence[Event]) -> str:
    """Events of one kind on one host, oldest first, in one sentence that claims no more than one.

    Raises IndexError for none.
    """
    last, count = events[-1], len(events)
    sources = {str(event.facts.get("source") or "") for event in events}
    if last.kind == "auth.failed" and count > 1 and len(sources) == 1:
        users = dict.fromkeys(str(event.facts.get("user") or "") for event in reversed(events))
        return refusals(count, sources.pop(), [*users])
    pids = {str(event.facts.get("pid")) for event in events}
    if last.kind == "gpu.process.new" and len(pids) == 1:
        gpus = sorted({str(event.facts.get("gpu")) for event in events})
        facts = last.facts | {"gpu": ", ".join(gpus)}
        return sentence(msgspec.structs.replace(last, facts=facts))
    return sentence(last) + (f" (and {count - 1} more like it)" if count > 1 else "")


def without_host(name: str, reason: str) -> str:
    """A reason without its ``NAME (ADDRESS port N): ``, for where the host stands beside it."""
    if reason.startswith(f"{name} ("):
        _, found, rest = reason.partition("): ")
        return rest if found else reason
    return reason.removeprefix(f"{name}: ")


def size(amount: float | None, *, start: str = "B") -> str:
    """``amount`` of bytes (or KiB, MiB by ``start``: "K", "M") with a binary unit: 1.5G."""
    if amount is None or not math.isfinite(amount):
        return "-"
    index = _UNITS.index(start)
    while abs(amount) >= 1000 and index < len(_UNITS) - 1:
        amount /= 1024
        index += 1
    digits = 0 if _UNITS[index] == "B" or abs(amount) >= 10 or not amount else 1
    return f"{amount:.{digits}f}{_UNITS[index]}"


def rate(bps: float | None) -> str:
    """Bytes a second: ``1.5M/s``."""
    return "-" if bps is None or not math.isfinite(bps) else f"{size(bps)}/s"


def span(seconds: float | None) -> str:
    """A duration with one unit, or two where the first is small: 5s, 12m, 3h, 2d 4h."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    seconds = max(0, int(seconds))
    if seconds < 100:
        return f"{seconds}s"
    if seconds < 6000:
        return f"{seconds // 60}m"
    if seconds < 100 * 3600:
        return f"{seconds // 3600}h"
    return f"{seconds // 86400}d"


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A number, or a dash where nothing is known."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f}{unit}"


def utc(at: float, form: str = "%H:%M:%S") -> str:
    """Seconds since the epoch in UTC by ``form`` of ``strftime``; dashes where it is no date.

    For whatever a host calls a time.
    """
    try:
        return time.strftime(form, time.gmtime(at))
    except (ValueError, OverflowError, OSError):
        return re.sub("%.", "--", form)


def share(part: float | None, whole: float | None) -> float | None:
    """``part`` of ``whole`` in per cent; None where one of them is not known or no amount.

    A whole below 1 (MiB, KiB, W) is none: what is divided by it would not be a number any more.
    """
    if part is None or whole is None or not (whole >= 1 and math.isfinite(whole)):
        return None
    percent = 100.0 * part / whole
    return percent if math.isfinite(percent) else None
