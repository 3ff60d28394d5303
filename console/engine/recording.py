"""The format of recordings: what a line may hold, and what changed between two pictures of a host.

A recording is text, one JSON object a line, perhaps packed by gzip (docs/recording.md). The first
line is the ``Header``. Then come ticks: lines for each host of which something changed, lines of
events, and at the end of the tick a line with ``tick``. A keyframe is a tick that begins with
``key`` and holds every host whole. The fields of a host are those of ``HostView``, with three
differences: tables are ``Rows`` below, the GPUs are made again out of ``fast``, ``inventory`` and
``counters``, and where a private key lies is left out.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from console.errors import WatchfloorError
from console.model.gpu import GpuCounters, together
from console.model.host import Host
from console.model.view import HostView

FORMAT = "recording"
VERSION = 1
MAX_LINE = 2 << 20
"""Bytes of any line but the first."""
MAX_VALUES = 200_000
"""Commas of one line: reading it must not take longer than a person would notice."""
MAX_HEAD = 8 << 20
"""Bytes of the first line, which names all hosts."""
MAX_HOSTS = 20_000
CHUNK = 200
"""Rows of one table in one line; the rest follows in further lines."""

TABLES = (
    "processes", "listeners", "flows", "gpu_processes", "openers", "sessions", "packages",
    "python", "containers", "accounts", "mounts", "models",
)  # fmt: skip
"""Fields of ``HostView`` that hold rows."""
FEW = 16
"""Tables of fewer rows are written whole when they change."""


class RecordingError(WatchfloorError):
    """A file is no recording, of another version, or damaged."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line."""

    watchfloor: str  # "recording"
    version: int
    at: float = 0.0  # when recording began, seconds since the epoch
    hosts: tuple[str, ...] = ()  # names in the order in which they are shown
    title: str = ""
    program: str = ""  # version of the program that wrote it


class Tick(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The numbers of the whole fleet at the end of a tick."""

    connecting: int = 0
    dropped: int = 0  # events that the console lost
    lost: int = 0  # events that the recorder came too late for, in this tick


class Line(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Any line but the first. What belongs to a host or is an event is decoded when needed.

    Another member is refused before what is in it is read.
    """

    at: float  # of the tick, seconds since the epoch by the clock of the recording console
    key: bool = False  # a keyframe begins: what was known of hosts before is forgotten
    host: str = ""  # whom ``set`` belongs to
    set: msgspec.Raw | UnsetType = UNSET
    events: tuple[msgspec.Raw, ...] = ()
    tick: Tick | None = None
    end: str = ""  # why the recording ended in good order; the last line only


def _rows_type(name: str, kind: Any) -> type[msgspec.Struct]:
    """A change of one table: ``all`` of its rows, or ``set`` and ``gone`` by the row's key.

    With ``more`` the rows of ``set`` follow those that are there.
    """
    return msgspec.defstruct(
        f"Rows_{name}",
        [
            ("all", kind | UnsetType, UNSET),
            ("set", kind, ()),
            ("gone", tuple[int | str, ...], ()),
            ("more", bool, False),
        ],
        frozen=True,
        kw_only=True,
        omit_defaults=True,
    )


_TYPES = {field.name: field.type for field in msgspec.structs.fields(HostView)}
ROWS = {name: _rows_type(name, _TYPES[name]) for name in TABLES}
PLAIN = tuple(name for name in _TYPES if name not in TABLES and name not in ("spec", "gpus"))
"""Fields that are written as they are."""
Change: type[msgspec.Struct] = msgspec.defstruct(
    "Change",
    [
        *((name, kind | UnsetType, UNSET) for name, kind in _TYPES.items() if name not in TABLES),
        *((name, ROWS[name] | UnsetType, UNSET) for name in TABLES),
        ("counters", tuple[GpuCounters, ...] | UnsetType, UNSET),
    ],
    frozen=True,
    kw_only=True,
    omit_defaults=True,
)
"""What changed of one host."""

_NOTHING = HostView(spec=Host(name="", address=""))


def spec_of(host: Host) -> Host:
    """The host as a recording names it: without the places of private keys."""
    return msgspec.structs.replace(host, key="", certificate="", agent=False)


def changes(view: HostView, before: HostView | None) -> Iterator[msgspec.Struct]:
    """What leads from ``before`` to ``view``, in pieces of bounded size; None: from nothing.

    The first piece holds all that is small; rows beyond ``CHUNK`` follow in pieces of their own.
    """
    old = before or _NOTHING
    out: dict[str, Any] = {}
    if before is None or view.spec is not old.spec:
        out["spec"] = spec_of(view.spec)
    for name in PLAIN:
        new, was = getattr(view, name), getattr(old, name)
        if new is not was and new != was:
            out[name] = new
    if view.gpus is not old.gpus:
        _gpus(view, old, out)
    rest: list[msgspec.Struct] = []
    for name in TABLES:
        rows = getattr(view, name)
        if rows is getattr(old, name) or not (rows or getattr(old, name)):
            continue
        first, *more = _table(name, rows, getattr(old, name) if before else ())
        out[name] = first
        rest += (Change(**{name: piece}) for piece in more)
    yield Change(**out)
    yield from rest


def _gpus(view: HostView, old: HostView, out: dict[str, Any]) -> None:
    counters = tuple(gpu.counters for gpu in view.gpus)
    was = tuple(gpu.counters for gpu in old.gpus)
    if len(counters) != len(was) or any(
        a is not b and a != b for a, b in zip(counters, was, strict=True)
    ):
        out["counters"] = counters
    static = view.inventory.gpus or ()
    fast = view.fast.gpu if view.fast else ()
    parts = {id(part) for part in (*static, *fast)}
    for gpu in view.gpus:
        if id(gpu.fast) in parts and id(gpu.static) in parts:
            continue
        if view.gpus != together(static, fast, {one.index: one for one in counters}):
            out["gpus"] = view.gpus
        return


def _table(name: str, rows: Sequence[Any], old: Sequence[Any]) -> list[msgspec.Struct]:
    kind = ROWS[name]
    if len(old) >= FEW:
        short = _delta(rows, old)
        if short is not None:
            return _pieces(kind, short[0], gone=short[1])
    return _pieces(kind, rows)


def _delta(rows: Sequence[Any], old: Sequence[Any]) -> tuple[list[Any], tuple[Any, ...]] | None:
    """Rows to set and keys to take away; None where that does not lead there or is not shorter."""
    was, new = by_key(old), by_key(rows)
    if len(new) != len(rows) or len(was) != len(old):
        return None  # two rows look alike: keys are shown cleaned
    put = [row for key, row in new.items() if was.get(key) is not row]
    gone = tuple(key for key in was if key not in new)
    if 2 * len(put) > len(rows):
        return None
    kept = [key for key in was if key in new]
    order = kept + [key for key in new if key not in was]
    return (put, gone) if order == list(new) else None


def by_key(rows: Sequence[Any]) -> dict[int | str, Any]:
    """Rows by the field that names them, which is their first."""
    if not rows:
        return {}
    first = rows[0].__struct_fields__[0]
    return {getattr(row, first): row for row in rows}


def _pieces(
    kind: type[msgspec.Struct], rows: Sequence[Any], gone: tuple[Any, ...] | None = None
) -> list[msgspec.Struct]:
    head, rest = tuple(rows[:CHUNK]), rows[CHUNK:]
    first = kind(all=head) if gone is None else kind(set=head, gone=gone)
    way = {"more": True} if gone is None else {}
    chunks = (tuple(rest[at : at + CHUNK]) for at in range(0, len(rest), CHUNK))
    return [first, *(kind(set=chunk, **way) for chunk in chunks)]


def applied(view: HostView, change: Any) -> HostView:
    """The picture after ``change``, which is a ``Change``."""
    out: dict[str, Any] = {}
    counters: tuple[GpuCounters, ...] = tuple(gpu.counters for gpu in view.gpus)
    for name in change.__struct_fields__:
        value = getattr(change, name)
        if value is UNSET:
            continue
        if name in ROWS:
            out[name] = _rows(getattr(view, name), value)
        elif name == "counters":
            counters = value
        else:
            out[name] = value
    view = msgspec.structs.replace(view, **out)
    if "gpus" not in out and (out.keys() & {"fast", "inventory"} or change.counters is not UNSET):
        fast = view.fast.gpu if view.fast else ()
        known = {one.index: one for one in counters}
        made = together(view.inventory.gpus or (), fast, known)
        view = msgspec.structs.replace(view, gpus=made)
    return view


def _rows(rows: tuple[Any, ...], change: Any) -> tuple[Any, ...]:
    if change.all is not UNSET:
        whole: tuple[Any, ...] = change.all
        return whole
    if change.more:
        return (*rows, *change.set)
    known = by_key(rows)
    for key in change.gone:
        known.pop(key, None)
    known |= by_key(change.set)
    return tuple(known.values())
