"""What the simulated probe says is the protocol: a strict reader of it never has to ask again."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest

from console.demo.fleet import SimHost, fleet
from console.demo.frames import FrameWriter, checksum
from console.demo.simulate import SimState
from console.demo.stages import KINDS
from console.demo.timeline import stages
from console.fleet.data import HostData
from console.fleet.decode import decode
from console.model.frame import MAX_LINE, Frame
from console.model.tables import TABLES


class Clock:
    def __init__(self) -> None:
        self.now = 1_732_400_000.0

    def __call__(self) -> float:
        return self.now


class NoDoor:
    def hush(self) -> None: ...

    def vanish(self) -> None: ...

    def change_key(self) -> None: ...


class Reader:
    """Applies frames by the rules of docs/protocol.md and asserts every one of them."""

    def __init__(self) -> None:
        self.seq = 0
        self.mono = 0.0
        self.tables: dict[str, dict[Any, Any]] = {}
        self.frames: list[Frame] = []

    def take(self, lines: Iterable[bytes]) -> list[Frame]:
        out = []
        for line in lines:
            assert line.endswith(b"\n")
            assert line.count(b"\n") == 1
            assert len(line) <= MAX_LINE
            frame = decode(line[:-1]).frame
            assert frame.seq == self.seq + 1
            assert frame.mono >= self.mono
            self.seq, self.mono = frame.seq, frame.mono
            if frame.k:
                assert frame.hello is not None
                assert frame.f is not None
                assert frame.denied is not None
                self.tables.clear()
            for name, delta in frame.t.items():
                rows = self.tables.setdefault(name, {})
                if delta.off:
                    rows.clear()
                    continue
                for raw in delta.set:
                    row = msgspec.json.decode(raw, type=TABLES[name])
                    rows[row.pid if name == "procs" else row.key] = row  # type: ignore[attr-defined]
                for key in delta.gone:
                    del rows[key]
                if delta.n is not None:
                    assert (len(rows), checksum(rows)) == (delta.n, delta.x)
            out.append(frame)
        self.frames += out
        return out


@pytest.fixture
def clock() -> Clock:
    return Clock()


def by_name(name: str) -> SimHost:
    return next(host for host in fleet() if host.name == name)


def tables(sim: SimState, *, focused: bool) -> dict[str, dict[Any, Any]]:
    return {name: rows for name, rows in sim.tables.items() if focused or name != "procs"}


def run(sim: SimState, writer: FrameWriter, clock: Clock, seconds: int) -> Iterator[bytes]:
    for second in range(1, seconds + 1):
        clock.now += 1
        sim.advance(sim.t + 1)
        if second % 2 == 0:
            yield from writer.fast()
        if second % 10 == 0:
            yield from writer.slow()
        yield from writer.events()


@pytest.mark.parametrize("host", fleet(), ids=lambda host: host.name)
def test_a_reader_has_exactly_the_state_of_the_host(host: SimHost, clock: Clock) -> None:
    sim, reader = SimState(host, 3, clock), Reader()
    writer = FrameWriter(sim)
    reader.take(writer.keyframe())
    assert reader.tables == tables(sim, focused=False)
    for stage in (stage for stage in stages() if stage.host == host.name):
        begun = KINDS[stage.kind](sim, NoDoor(), stage.params)
        reader.take(run(sim, writer, clock, 20))
        for _ in begun or ():
            reader.take(run(sim, writer, clock, 1))
    reader.take(run(sim, writer, clock, 120))
    assert reader.tables == tables(sim, focused=False)
    assert sum(frame.k for frame in reader.frames) == 1


def test_focus_sends_the_process_table_and_leaving_takes_it_back(clock: Clock) -> None:
    sim, reader = SimState(by_name("h100-fra-1"), 1, clock), Reader()
    writer = FrameWriter(sim)
    reader.take(writer.keyframe())
    assert "procs" not in reader.tables
    reader.take(writer.verb("focus on\n"))
    assert writer.period == 1.0
    reader.take(run(sim, writer, clock, 30))
    assert reader.tables == tables(sim, focused=True)
    assert not list(writer.verb("focus on"))
    reader.take(writer.verb("focus off"))
    assert reader.tables["procs"] == {}
    reader.take(run(sim, writer, clock, 30))
    assert writer.period == 2.0


def test_resync_gives_a_keyframe_and_the_journal_s_events_after_a_cursor(clock: Clock) -> None:
    sim, reader = SimState(by_name("gw-fra-1"), 1, clock), Reader()
    sim.emit("auth.failed", "a", user="a")
    first = FrameWriter(sim)
    assert not list(first.events())  # what was before the session is not told by itself
    cursor = sim.log[-1].event.cursor
    sim.emit("auth.failed", "b", user="b")
    sim.emit("listener.new", "tcp/0.0.0.0:1")
    later = FrameWriter(sim)
    reader.take(later.keyframe())
    frames = reader.take(later.verb(f"resync {cursor}"))
    assert frames[0].k == 1
    told = [event.key for frame in frames for event in frame.e]
    assert told[0] == "b"
    reader.take(later.verb("resync sim-999999"))
    assert reader.frames[-1].e[-1].kind == "log.gap"


def test_a_guard_s_document_comes_by_its_digest_only(clock: Clock) -> None:
    sim, reader = SimState(by_name("store-fra-1"), 1, clock), Reader()
    body = b'{"action":"block"}\x00\xff'
    digest = hashlib.sha256(body).hexdigest()
    writer = FrameWriter(sim)
    reader.take(writer.fast())
    assert reader.frames[0].guard is None
    sim.spool[digest] = "request", body
    for frames in (writer.fast, writer.keyframe):  # told once, and again in a keyframe
        (listed,) = (frame.guard for frame in reader.take(frames()) if frame.guard is not None)
        assert [(doc.sha256, doc.size, doc.kind) for doc in listed] == [
            (digest, len(body), "request")
        ]
        assert all(frame.guard is None for frame in reader.take(writer.fast()))
    document = reader.take(writer.verb(f"guard-doc {digest}"))[0].doc
    assert document is not None
    assert base64.b64decode(document.b64) == body
    missing = reader.take(writer.verb("guard-doc " + "0" * 64))[0].doc
    assert missing is not None
    assert missing.error


@pytest.mark.parametrize("verb", ["reboot", "guard-doc xyz", "focus", "resync a b", "\x1b[2J"])
def test_anything_else_is_a_bad_verb_without_effect(verb: str, clock: Clock) -> None:
    sim, reader = SimState(by_name("store-fra-1"), 1, clock), Reader()
    writer = FrameWriter(sim)
    reader.take(writer.keyframe())
    before = dict(reader.tables)
    frames = reader.take(writer.verb(verb))
    assert [event.kind for frame in frames for event in frame.e] == ["probe.bad-verb"]
    assert reader.tables == before


def test_a_large_change_is_cut_into_chunks(clock: Clock) -> None:
    sim, reader = SimState(by_name("gw-fra-1"), 1, clock), Reader()
    template = next(iter(sim.tables["packages"].values()))
    for number in range(4_500):
        key = f"deb/many-{number}/amd64"
        sim.tables["packages"][key] = msgspec.structs.replace(template, key=key)
    frames = reader.take(FrameWriter(sim).keyframe())
    chunks = [frame.t["packages"] for frame in frames if "packages" in frame.t]
    assert len(chunks) == 3
    assert [chunk.n is None for chunk in chunks] == [True, True, False]
    assert len(reader.tables["packages"]) == len(sim.tables["packages"])


def test_a_keyframe_comes_by_itself_after_fifteen_minutes(clock: Clock) -> None:
    sim, reader = SimState(by_name("gw-fra-1"), 1, clock), Reader()
    writer = FrameWriter(sim)
    reader.take(writer.keyframe())
    clock.now += 901
    assert reader.take(writer.fast())[0].k == 1


@pytest.mark.parametrize("host", fleet(), ids=lambda host: host.name)
def test_the_console_never_has_to_ask_for_a_keyframe(host: SimHost, clock: Clock) -> None:
    sim, data = SimState(host, 5, clock), HostData()
    writer = FrameWriter(sim)
    data.begin()

    def take(lines: Iterable[bytes]) -> None:
        for line in lines:
            reason, _ = data.apply(decode(line[:-1]), clock.now)
            assert not reason

    take(writer.keyframe())
    for stage in (stage for stage in stages() if stage.host == host.name):
        KINDS[stage.kind](sim, NoDoor(), stage.params)
        take(run(sim, writer, clock, 30))
    take(writer.verb("focus on"))
    take(run(sim, writer, clock, 30))
    for name, rows in sim.tables.items():
        assert data.rows(name, clock.now) == tuple(rows.values())
    take(writer.verb("focus off"))
    take(run(sim, writer, clock, 30))
    assert not data.rows("procs", clock.now)
    assert len(data.gpus()) == host.gpus
