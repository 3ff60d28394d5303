"""The frames of one simulated probe: keyframe, deltas, focus, resync and guard documents.

One ``FrameWriter`` is one run of a probe over one SSH session; several may read one ``SimState``.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any
from zlib import crc32

import msgspec

from console import __version__
from console.demo.facts import denied
from console.demo.fleet import catalog, digest
from console.demo.simulate import Logged, SimState
from console.model.frame import PROTOCOL, PendingDoc, SelfCost, TableDelta
from console.model.gpu import GpuCounters

CHUNK_ROWS = 2_000
CHUNK_BYTES = 512 << 10
KEYFRAME_S = 900.0
COST_S = 60.0

FAST_TABLES = ("listen",)
SLOW_TABLES = ("flows", "gpuprocs", "openers", "sessions")
INVENTORY_TABLES = ("packages", "pydists", "containers", "accounts", "mounts", "models")

_document = re.compile(r"guard-doc ([0-9a-f]{64})").fullmatch
_cursor = re.compile(r"resync(?: (\S{1,512}))?").fullmatch


class FrameWriter:
    """Turns the state of a host into lines of the protocol.

    ``fast_s`` and ``slow_s`` are the periods that the writer announces; who calls ``fast`` and
    ``slow`` keeps to them.
    """

    def __init__(
        self, state: SimState, *, fast_s: float = 2.0, slow_s: float = 10.0, pid: int = 4_242
    ) -> None:
        self.state = state
        self.fast_s = fast_s
        self.slow_s = slow_s
        self.focused = False
        self._pid = pid
        self._seq = 0
        self._sent: dict[str, dict[int | str, Any]] = {}
        self._counters: dict[int, GpuCounters] = {}
        self._seen = state.last()  # events before this session are not told, as with journalctl
        self._bad: list[str] = []
        self._listed: tuple[PendingDoc, ...] = ()
        now = state.clock()
        self._last_fast = now
        self._last_key = now
        self._last_cost = now
        self._full = True

    @property
    def period(self) -> float:
        """Seconds between fast ticks now."""
        return min(1.0, self.fast_s) if self.focused else self.fast_s

    # --- lanes ---

    def keyframe(self) -> Iterator[bytes]:
        """A keyframe and the frames that complete it."""
        self._sent.clear()
        self._counters.clear()
        self._last_key = self.state.clock()
        self._full = False
        hello = {
            "probe": f"{__version__}-simulated",
            "sha256": digest("probe", __version__, length=64),
            "tier": self.state.host.tier,
            "pid": self._pid,
            "uid": 1001,
            "user": "wfmon",
            "python": catalog().systems[self.state.host.system].python,
            "hostname": self.state.host.name,
            "caps": "0000000000080004" if self.state.host.tier >= 2 else "0",
            "fast_s": self.fast_s,
            "slow_s": self.slow_s,
            "inventory_s": 300.0,
            "focused": self.focused,
        }
        self._listed = self._published()
        yield self._frame(
            k=1,
            hello=hello,
            guard=self._listed or None,
            f=self.state.fast(self._dt()),
            g=self._changed_counters(),
            denied=denied(self.state.host),
            ps=None if self.focused else self.state.summary(),
        )
        yield from self._tables(FAST_TABLES + SLOW_TABLES)
        if self.focused:
            yield from self._tables(("procs",))
        yield self._frame(i=self.state.inventory())
        yield from self._tables(INVENTORY_TABLES)

    def fast(self) -> Iterator[bytes]:
        """The fast tick; also what is due each minute and each 15 minutes."""
        now = self.state.clock()
        if self._full or now - self._last_key >= KEYFRAME_S:
            yield from self.keyframe()
            return
        parts: dict[str, Any] = {"f": self.state.fast(self._dt())}
        if now - self._last_cost >= COST_S:
            self._last_cost = now
            lanes = {"fast": 0.4, "slow": 11.0, "gpu": 0.9}
            parts["self"] = SelfCost(cpu_pct=0.3, rss_kib=24_100, lanes_ms=lanes)
        counters = self._changed_counters()
        if counters:
            parts["g"] = counters
        if (listed := self._published()) != self._listed:
            self._listed = parts["guard"] = listed
        yield self._frame(**parts)
        yield from self._tables(FAST_TABLES)

    def slow(self) -> Iterator[bytes]:
        """The slow tick."""
        if not self.focused:
            yield self._frame(ps=self.state.summary())
            yield from self._tables(SLOW_TABLES)
        else:
            yield from self._tables((*SLOW_TABLES, "procs"))

    def events(self) -> Iterator[bytes]:
        """What happened since the last call, at once."""
        news = [
            {"kind": "probe.bad-verb", "at": self.state.clock(), "facts": {"error": text}}
            for text in self._bad
        ]
        self._bad.clear()
        logged = self.state.since(self._seen)
        if logged:
            self._seen = logged[-1].number
        if news or logged:
            yield self._frame(e=[*news, *(item.event for item in logged)])

    # --- verbs ---

    def verb(self, line: str) -> Iterator[bytes]:
        """Obey one line of standard input; returns what it makes the probe say at once."""
        line = line.strip()
        cursor = _cursor(line)
        document = _document(line)
        if line in ("focus on", "focus off"):
            yield from self._focus(line == "focus on")
        elif cursor is not None:
            if cursor[1]:
                self._rewind(cursor[1])
            yield from self.keyframe()
            yield from self.events()
        elif document is not None:
            yield self._frame(doc=self._guard_doc(document[1]))
        else:
            if len(self._bad) < 16:
                self._bad.append(line[:80])
            yield from self.events()

    def _focus(self, on: bool) -> Iterator[bytes]:
        if on == self.focused:
            return
        self.focused = on
        if on:
            yield from self._tables(("procs",))
        else:
            self._sent.pop("procs", None)
            yield self._frame(t={"procs": TableDelta(off=True)}, ps=self.state.summary())

    def _rewind(self, cursor: str) -> None:
        known = next((i for i in self.state.log if i.event.cursor == cursor), None)
        if known is None:
            self.state.emit("log.gap", reason="cursor gone")
            return
        missed: list[Logged] = self.state.since(known.number, journal_only=True)
        if missed and missed[0].number <= self._seen:
            self._seen = known.number

    def _guard_doc(self, sha256: str) -> dict[str, str]:
        found = self.state.spool.get(sha256)
        if found is None:
            return {"sha256": sha256, "error": "no such document"}
        return {"sha256": sha256, "b64": base64.b64encode(found[1]).decode()}

    def _published(self) -> tuple[PendingDoc, ...]:
        return tuple(
            PendingDoc(sha256=sha256, size=len(body), kind=kind)
            for sha256, (kind, body) in self.state.spool.items()
        )

    # --- making ---

    def _dt(self) -> float:
        now = self.state.clock()
        dt, self._last_fast = now - self._last_fast, now
        return dt

    def _changed_counters(self) -> list[GpuCounters]:
        out = []
        for gpu in self.state.gpus:
            if self._counters.get(gpu.index) is not gpu.counters:
                self._counters[gpu.index] = gpu.counters
                out.append(gpu.counters)
        return out

    def _tables(self, names: Iterable[str]) -> Iterator[bytes]:
        small: dict[str, Any] = {}
        for name in names:
            chunks = list(self._delta(name))
            if len(chunks) == 1:
                small[name] = chunks[0]
            else:
                for chunk in chunks:
                    yield self._frame(t={name: chunk})
        if small:
            yield self._frame(t=small)

    def _delta(self, name: str) -> Iterator[dict[str, Any]]:
        rows = self.state.tables[name]
        first = name not in self._sent
        before = self._sent.setdefault(name, {})
        fresh = [
            msgspec.json.encode(row) for key, row in rows.items() if before.get(key) is not row
        ]
        gone = [key for key in before if key not in rows]
        self._sent[name] = dict(rows)
        if not (fresh or gone or first):
            return
        chunks: list[list[msgspec.Raw]] = [[]]
        size = 0
        for row in fresh:
            if len(chunks[-1]) >= CHUNK_ROWS or size + len(row) > CHUNK_BYTES:
                chunks.append([])
                size = 0
            chunks[-1].append(msgspec.Raw(row))
            size += len(row)
        for chunk in chunks[:-1]:
            yield {"set": chunk}
        last: dict[str, Any] = {"n": len(rows), "x": checksum(rows)}
        if chunks[-1]:
            last["set"] = chunks[-1]
        if gone:
            last["gone"] = gone
        yield last

    def _frame(self, /, **parts: Any) -> bytes:
        self._seq += 1
        state = self.state
        head = {
            "v": PROTOCOL,
            "seq": self._seq,
            "host": state.host_id,
            "boot": state.boot_id,
            "wall": round(state.clock(), 3),
            "mono": round(state.uptime, 3),
        }
        return msgspec.json.encode(head | {k: v for k, v in parts.items() if v is not None}) + b"\n"


def checksum(keys: Iterable[int | str]) -> int:
    """Exclusive or of the crc32 of all keys, as the protocol asks."""
    out = 0
    for key in keys:
        out ^= crc32(str(key).encode())
    return out
