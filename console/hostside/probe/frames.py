"""Frames: collects the newest of everything and writes it as lines of protocol version 1."""

from __future__ import annotations

from json import JSONEncoder

from .delta import Table
from .denied import Denied
from .digest import sha256_hex
from .happen import Events
from .place import Place, first_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

PROTOCOL = 1
MAX_LINE = 1 << 20
BODY_BYTES = 512 * 1024
EVENTS_A_FRAME = 500
KEYFRAME_S = 900.0

encode = JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def host_id(place: Place) -> str:
    """32 hexadecimal digits that stay the same for an installation."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        machine = first_line(place.path(path)).strip()
        if machine:
            return sha256_hex(("watchfloor:" + machine).encode())[:32]
    name = first_line(place.proc + "/sys/kernel/hostname")
    return sha256_hex(("watchfloor-name:" + name).encode())[:32]


def argv_salt(place: Place) -> str:
    """Salt for digests of arguments: the same for an installation, and never sent.

    The machine id is known on the host only; the host id in frames does not give it away.
    """
    machine = first_line(place.path("/etc/machine-id"))
    return sha256_hex(("watchfloor-argv:" + machine).encode())


def boot_id(place: Place) -> str:
    """The kernel's boot id."""
    return first_line(place.proc + "/sys/kernel/random/boot_id") or "unknown"


class Board:
    """The newest state, in the parts of a frame, each knowing whether the console has it.

    Lanes write into it at their pace. ``bodies`` gives what is new, in one frame or several. While
    nobody reads, snapshots replace each other here and cost no memory.
    """

    def __init__(self, place: Place, events: Events, denied: Denied, hello: dict[str, Any]) -> None:
        self._place = place
        self._events = events
        self._denied = denied
        self.hello = hello
        self.key_wanted = True
        self._key_at = 0.0
        self._parts: dict[str, Any] = {}
        self._gpus: dict[int, dict[str, Any]] = {}
        self._gpus_new: set[int] = set()
        self._guard: list[dict[str, Any]] | None = None
        self._docs: list[dict[str, Any]] = []
        self._sections: dict[str, str] = {}
        self._sections_new: set[str] = set()
        self.tables: dict[str, Table] = {}

    def put(self, part: str, value: Any) -> None:
        """Newest value of ``f``, ``ps`` or ``self``; sent once."""
        self._parts[part] = value

    def gpu(self, counters: dict[str, Any]) -> None:
        """Newest counters of one GPU."""
        self._gpus[counters["index"]] = counters
        self._gpus_new.add(counters["index"])

    def guard(self, listed: list[dict[str, Any]] | None) -> None:
        """Newest list of the guard's documents; None when there is no guard."""
        if listed != self._guard:
            self._guard = listed
            self._parts["guard"] = listed or []

    def doc(self, answer: dict[str, Any]) -> None:
        """An answer to ``guard-doc``; kept until it is sent, at most eight."""
        if len(self._docs) < 8:
            self._docs.append(answer)

    def section(self, name: str, value: Any) -> None:
        """Newest inventory section. Raises ValueError when it is too large for a frame."""
        text = encode(value)
        if len(text) > MAX_LINE - 4096:
            raise ValueError("inventory section too large")
        if self._sections.get(name) != text:
            self._sections[name] = text
            self._sections_new.add(name)

    def table(self, name: str) -> Table:
        """The table of that name, made when it is new."""
        found = self.tables.get(name)
        if found is None:
            found = self.tables[name] = Table(name)
        return found

    def bodies(self) -> Iterator[str]:
        """What the console does not have yet, each string the inside of one frame."""
        key = self.key_wanted or self._place.mono() - self._key_at >= KEYFRAME_S
        parts = _Body()
        if key:
            self._begin(parts)
        for name in ("f", "ps", "self", "guard"):
            if name in self._parts:
                parts.add(name, encode(self._parts.pop(name)))
        if self._gpus_new:
            new = [self._gpus[index] for index in sorted(self._gpus_new)]
            self._gpus_new = set()
            parts.add("g", encode(new))
        if key or self._denied.changed:
            self._denied.changed = False
            parts.add("denied", encode(self._denied.whole()))
        events = self._events.take(EVENTS_A_FRAME)
        if events:
            parts.add("e", encode(events))
        for table in list(self.tables.values()):
            for text in table.changes(encode):
                if parts.size + len(text) > BODY_BYTES or table.name in parts.tables:
                    yield parts.close()
                parts.tables[table.name] = text
                parts.size += len(text)
        for name in sorted(self._sections_new):
            text = self._sections[name]
            if parts.size + len(text) > BODY_BYTES:
                yield parts.close()
            parts.sections[name] = text
            parts.size += len(text)
        self._sections_new = set()
        docs, self._docs = self._docs, []
        for answer in docs:
            if parts.size:
                yield parts.close()
            parts.add("doc", encode(answer))
        if parts.size:
            yield parts.close()

    def _begin(self, parts: _Body) -> None:
        self.key_wanted = False
        self._key_at = self._place.mono()
        for table in self.tables.values():
            table.forget()
        self._sections_new = set(self._sections)
        self._gpus_new = set(self._gpus)
        if self._guard is not None:
            self._parts["guard"] = self._guard
        parts.add("k", "1")
        parts.add("hello", encode(self.hello))


class _Body:
    """The inside of one frame while it is being put together."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.tables: dict[str, str] = {}
        self.sections: dict[str, str] = {}
        self.size = 0

    def add(self, name: str, text: str) -> None:
        """One part, already JSON."""
        self._texts.append(f'"{name}":{text}')
        self.size += len(text)

    def close(self) -> str:
        """The text so far; the body is empty afterwards."""
        for name, group in (("t", self.tables), ("i", self.sections)):
            if group:
                inside = ",".join(f'"{key}":{text}' for key, text in group.items())
                self._texts.append(f'"{name}":{{{inside}}}')
        text = ",".join(self._texts)
        self._texts, self.tables, self.sections, self.size = [], {}, {}, 0
        return text


class Lines:
    """Gives frames their head: identity, sequence number and times of the moment they leave."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._identity = f'"host":"{host_id(place)}","boot":"{boot_id(place)}"'
        self.seq = 0

    def line(self, body: str) -> bytes:
        """One line of the stream."""
        self.seq += 1
        times = f'"wall":{self._place.wall():.3f},"mono":{self._place.boot():.3f}'
        head = f'{{"v":{PROTOCOL},"seq":{self.seq},{self._identity},{times}'
        return f"{head},{body}}}\n".encode()
