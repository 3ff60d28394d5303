"""One line to one Frame: version, form, bounds and clean text, or a ProtocolError."""

import re
from itertools import islice
from typing import Any

import msgspec

from console.errors import ProtocolError
from console.fleet.scrub import MAX_DEPTH, MAX_NUMBER, MAX_VALUES, scrub, too_deep
from console.model.frame import MAX_TEXT, PROTOCOL, Fast, Frame, PendingDoc, ProbeEvent
from console.model.gpu import GpuCounters, GpuFast
from console.text import clean

OWN_KINDS = (
    "host.", "console.", "store.", "demo.", "alert.", "action.", "audit.", "advisory.",
    "record.", "replay.", "plugin.", "guard.",
)  # fmt: skip
"""Beginnings of kinds that the console gives to events of its own. A host that could send them
could say of itself, or of others, what only the console can know."""
MAX_GPUS = 64
MAX_NICS = 256
MAX_EVENTS = 2_000
MAX_DENIED = 256
MAX_FACTS = 32
MAX_FACT_ITEMS = 64
MAX_ITEMS = 64
"""Entries of each map or list that is shown whole: users, vulnerabilities, settings."""
MAX_FACTS_SIZE = 4096
"""Bytes of the facts of one event, as JSON: the log keeps many events, so none may be large."""
END_OF_TIME = 1e11
"""The year 5138: later dates are none, and cannot be written by the usual functions."""

_long_string = re.compile(rb'"[^"]{%d}' % (MAX_TEXT + 1)).search
_long_number = re.compile(rb"[0-9]{20}").search
_host_id = re.compile(r"[0-9a-f]{32}").fullmatch
_boot_id = re.compile(r"[0-9A-Za-z-]{1,64}").fullmatch
_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
_doc_kind = re.compile(r"[a-z][a-z-]{0,15}").fullmatch
_frame = msgspec.json.Decoder(Frame)

_AT_LEAST_ZERO = {
    kind: tuple(
        field.name
        for field in msgspec.structs.fields(kind)
        if field.type in (float | None, int | None, float) and field.name != "recovery_action"
    )
    for kind in (Fast, GpuFast, GpuCounters)
}


class _Head(msgspec.Struct):
    """The least of a frame of any version."""

    v: Any = None


_head = msgspec.json.Decoder(_Head)


class Decoded(msgspec.Struct, frozen=True):
    """A frame, and what it took to read it."""

    frame: Frame
    plain: bool = True  # False: table keys may hold text that must be cleaned before it is shown
    broken_text: bool = False  # the line was not valid UTF-8
    dropped_events: int = 0


def plain(line: bytes) -> bool:
    """True when no string in ``line`` can need cleaning: printable ASCII, no escapes, no long ones.

    JSON itself forbids the other control characters inside strings.
    """
    return (
        line.isascii() and b"\\" not in line and b"\x7f" not in line and _long_string(line) is None
    )


def decode(line: bytes) -> Decoded:
    """Read one line. Never raises anything but ProtocolError."""
    if line.count(b",") > MAX_VALUES:
        raise ProtocolError(f"sent a line with more than {MAX_VALUES} values")
    if plain(line):
        frame = _typed(line)
        if (frame.i or frame.hello or frame.ps or frame.self or frame.e) and _long_number(line):
            return _slow(line)
        if not (frame.k or frame.t or frame.e or frame.g or frame.i or frame.ps or frame.self) and (
            frame.denied is None and frame.guard is None
        ):
            return Decoded(_sane(frame))  # a fast sample alone, as most frames are
        return _bounded(_sane(frame), is_plain=True, broken=False)
    return _slow(line)


def _slow(line: bytes) -> Decoded:
    try:
        line.decode()
        broken = False
    except UnicodeDecodeError:
        broken = True
    return _bounded(_sane(_typed(scrub(line))), is_plain=False, broken=broken)


def _typed(line: bytes) -> Frame:
    try:
        frame = _frame.decode(line)
    except RecursionError:
        raise too_deep() from None
    except (msgspec.MsgspecError, ValueError) as error:
        _check_version(line)
        raise ProtocolError(
            f"sent a line outside the frame protocol: {clean(str(error), 160)}",
            hint="the probe and this console may be of different versions",
        ) from None
    if frame.v != PROTOCOL:
        _check_version(line)
    return frame


def _check_version(line: bytes) -> None:
    try:
        spoken = _head.decode(line).v
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return
    if spoken is None or (spoken == PROTOCOL and not isinstance(spoken, bool)):
        return
    older = isinstance(spoken, int | float) and spoken < PROTOCOL
    raise ProtocolError(
        f"speaks frame protocol version {clean(str(spoken), 20)}, "
        f"this console speaks version {PROTOCOL}",
        hint="update the probe on that host" if older else "update this console",
    )


def _sane(frame: Frame) -> Frame:
    """Check identity and numbers; impossible values of optional numbers become None."""
    if not _host_id(frame.host):
        raise ProtocolError("sent a host id that is not 32 hexadecimal digits")
    if not _boot_id(frame.boot):
        raise ProtocolError("sent a boot id that is none")
    times = 0 <= frame.mono < END_OF_TIME and 0 <= frame.wall < END_OF_TIME
    if not (times and 0 < frame.seq < 1 << 53):
        raise ProtocolError("sent a sequence number or a time that cannot be")
    fast = frame.f
    if fast is not None:
        no_impossible(fast)
        for gpu in fast.gpu:
            no_impossible(gpu)
        if len(fast.gpu) > MAX_GPUS or len(fast.nics) > MAX_NICS:
            msgspec.structs.force_setattr(fast, "gpu", fast.gpu[:MAX_GPUS])
            msgspec.structs.force_setattr(fast, "nics", fast.nics[:MAX_NICS])
    return frame


def no_impossible(item: Fast | GpuFast | GpuCounters) -> None:
    """Correct ``item`` in place: it is fresh from the decoder, nobody else has seen it."""
    if isinstance(item, GpuCounters) and (item.last_xid_at or 0) >= END_OF_TIME:
        msgspec.structs.force_setattr(item, "last_xid_at", None)
    for value in msgspec.structs.astuple(item):
        if value.__class__ in _NUMBERS and not 0 <= value <= MAX_NUMBER:
            break
    else:
        return
    for name in _AT_LEAST_ZERO[type(item)]:
        value = getattr(item, name)
        if value is not None and not 0 <= value <= MAX_NUMBER:
            nothing = 0.0 if name in ("age_s", "dt") else None
            msgspec.structs.force_setattr(item, name, nothing)


_NUMBERS = (int, float)


def _bounded(frame: Frame, *, is_plain: bool, broken: bool) -> Decoded:
    for counters in frame.g:
        no_impossible(counters)
    if frame.i is not None:
        cut(frame.i, gpus=MAX_GPUS, nics=MAX_NICS)
        if frame.i.kernel is not None:
            cut(frame.i.kernel, vulnerabilities=MAX_ITEMS, taint_flags=MAX_ITEMS)
        if frame.i.digests is not None:
            cut(frame.i.digests, sshd=MAX_ITEMS)
    if frame.ps is not None:
        cut(frame.ps, by_user=MAX_ITEMS, top_cpu=MAX_ITEMS, top_rss=MAX_ITEMS)
    if frame.self is not None:
        cut(frame.self, lanes_ms=MAX_ITEMS)
    cut(frame, denied=MAX_DENIED, guard=MAX_ITEMS, g=MAX_GPUS)
    if frame.guard and not all(map(_is_doc, frame.guard)):
        raise ProtocolError("lists a document of its guard that cannot be")
    dropped = max(0, len(frame.e) - MAX_EVENTS)
    if frame.e:
        events = tuple(_event(event, frame.wall) for event in frame.e[:MAX_EVENTS])
        msgspec.structs.force_setattr(frame, "e", events)
    return Decoded(frame, plain=is_plain, broken_text=broken, dropped_events=dropped)


def _is_doc(doc: PendingDoc) -> bool:
    return bool(_sha256(doc.sha256)) and bool(_doc_kind(doc.kind)) and 0 <= doc.size <= MAX_NUMBER


def cut(item: msgspec.Struct, **most: int) -> None:
    """Keep the first entries of the named maps and lists, in place: ``item`` is still ours."""
    for name, count in most.items():
        value = getattr(item, name)
        if value is not None and len(value) > count:
            short = dict(islice(value.items(), count)) if type(value) is dict else value[:count]
            msgspec.structs.force_setattr(item, name, short)


def _event(event: ProbeEvent, wall: float) -> ProbeEvent:
    if event.kind.startswith(OWN_KINDS):
        said = f"sent an event that only the console makes: {clean(event.kind, 80)}"
        event = ProbeEvent(
            kind="probe.error", at=event.at, key="forged", facts={"error": said},
            cursor=event.cursor,
        )  # fmt: skip
    if not 0 <= event.at < END_OF_TIME:  # a date that nobody could show
        event = msgspec.structs.replace(event, at=wall)
    facts = short_facts(event.facts)
    return event if facts is event.facts else msgspec.structs.replace(event, facts=facts)


def short_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of one event within their bounds: text, numbers, true, false and None.

    What else stands there becomes text. Raises ProtocolError where it is too deep.
    """
    if len(facts) > MAX_FACTS or not all(map(_is_fact, facts.values())):
        facts = {name: _fact(value) for name, value in islice(facts.items(), MAX_FACTS)}
    return _short(facts) if facts else facts


def _is_fact(value: Any) -> bool:
    if value.__class__ in _NUMBERS:
        return bool(-MAX_NUMBER <= value <= MAX_NUMBER)
    return value is None or value.__class__ in (str, bool)


def _fact(value: Any) -> str | float | None:
    """One fact; a number that cannot be is None, a list or a map is its items as text."""
    if isinstance(value, dict | list):
        return clean(_words(value, 5), MAX_TEXT)
    return value if _is_fact(value) else None


def _words(value: Any, depth: int) -> str:
    if not isinstance(value, dict | list):
        return str(value)[:MAX_TEXT]
    if depth > MAX_DEPTH:
        raise too_deep()
    if isinstance(value, list):
        return ", ".join(_words(item, depth + 1) for item in value[:MAX_FACT_ITEMS])
    pairs = islice(value.items(), MAX_FACTS)
    return ", ".join(f"{key} {_words(item, depth + 1)}" for key, item in pairs)


def _short(facts: dict[str, Any]) -> dict[str, Any]:
    """The first facts that fit into ``MAX_FACTS_SIZE``; ``cut`` says when some did not."""
    if len(msgspec.json.encode(facts)) <= MAX_FACTS_SIZE:
        return facts
    kept: dict[str, Any] = {}
    left = MAX_FACTS_SIZE
    for name, value in facts.items():
        left -= len(msgspec.json.encode((name, value)))
        if left < 0:
            break
        kept[name] = value
    return {**kept, "cut": f"facts over {MAX_FACTS_SIZE} bytes were left out"}
