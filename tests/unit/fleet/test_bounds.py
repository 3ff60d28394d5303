"""What one host may make the console hold: facts, lists, tables, time; and defects stay its own."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.engine.session import LocalEngine
from console.errors import ProtocolError
from console.fleet import data, tables
from console.fleet.data import HostData
from console.fleet.decode import END_OF_TIME, MAX_FACTS_SIZE, decode
from console.fleet.pace import BURST, frame_cost
from console.fleet.scrub import MAX_NUMBER
from console.headless.document import encode
from console.headless.plain import event_line, table
from console.headless.watch import Lines
from console.model.frame import MAX_TEXT
from console.model.host import HostState
from console.text import clean
from tests.support.scripted import HOST_ID, ScriptedTransport, frame, host, xor
from tests.support.scripted import table as rows


def read(**parts: Any) -> Any:
    return decode(frame(1, key=True, **parts)[:-1]).frame


@pytest.mark.parametrize("at", [-1, -0.5, 1e11, 1e18, 10**18])
def test_a_date_that_is_none_becomes_that_of_the_frame(at: float) -> None:
    (event,) = read(e=[{"kind": "x", "at": at}]).e
    assert event.at == 1_700_000_002.0


def test_a_date_is_kept() -> None:
    assert [e.at for e in read(e=[{"kind": "x", "at": 0}, {"kind": "x", "at": 5.5}]).e] == [0, 5.5]


facts = st.dictionaries(
    st.text(max_size=600),
    st.recursive(
        st.text(max_size=700) | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=80) | st.dictionaries(st.text(max_size=9), inner),
        max_leaves=30,
    ),
    max_size=50,
)


@given(facts, st.floats(allow_nan=False, allow_infinity=False))
def test_no_event_is_large_and_none_has_a_strange_date(known: dict[str, Any], at: float) -> None:
    try:
        (event,) = read(e=[{"kind": "x", "at": at, "facts": known}]).e
    except ProtocolError:
        return
    assert len(msgspec.json.encode(event.facts)) <= MAX_FACTS_SIZE + 100
    assert 0 <= event.at < END_OF_TIME


@given(facts)
def test_facts_are_text_numbers_and_truth_alone(known: dict[str, Any]) -> None:
    """What reads them may compare, hash and write them."""
    try:
        (event,) = read(e=[{"kind": "kernel.xid", "at": 1, "facts": known}]).e
    except ProtocolError:
        return
    for value in event.facts.values():
        assert value is None or isinstance(value, str | int | float)
        assert not isinstance(value, str) or len(value) <= MAX_TEXT
        assert isinstance(value, str | None) or abs(value) <= MAX_NUMBER


def test_lists_and_maps_in_facts_become_text() -> None:
    known = {"xid": [79], "a": {"b": [1, None], "c": True}, "n": 1e300, "t": "x", "f": False}
    (event,) = read(e=[{"kind": "kernel.xid", "at": 1, "facts": known}]).e
    assert event.facts == {"xid": "79", "a": "b 1, None, c True", "n": None, "t": "x", "f": False}
    assert len({*event.facts.values()}) == 5, "all can be hashed"


def test_a_time_of_a_gpu_that_cannot_be_is_none() -> None:
    got = read(
        g=[{"index": 0, "last_xid": 79, "last_xid_at": 1e18}, {"index": 1, "last_xid_at": 5}]
    )
    assert [each.last_xid_at for each in got.g] == [None, 5.0]
    assert got.g[0].last_xid == 79


def test_what_was_left_out_of_facts_is_said() -> None:
    (event,) = read(e=[{"kind": "x", "at": 1, "facts": {f"f{n}": "y" * 500 for n in range(20)}}]).e
    assert 5 <= len(event.facts) <= 9
    assert "left out" in event.facts["cut"]


def test_lists_that_are_shown_whole_are_short() -> None:
    many = {f"k{n}": "x" for n in range(500)}
    got = read(
        ps={"by_user": dict.fromkeys(many, 1), "top_cpu": [[1, "u", "n", 1.0, 1]] * 500},
        i={"kernel": {"vulnerabilities": many}, "digests": {"sshd": many},
           "nics": [{"name": "n"}] * 500, "gpus": [{"index": n} for n in range(500)]},
        self={"lanes_ms": dict.fromkeys(many, 1.0)},
        denied=many,
        guard=[{"sha256": "0" * 64, "size": 1}] * 500,
        g=[{"index": n} for n in range(500)],
    )  # fmt: skip
    assert [len(got.ps.by_user), len(got.ps.top_cpu), len(got.self.lanes_ms)] == [64, 64, 64]
    assert [len(got.i.kernel.vulnerabilities), len(got.i.digests.sshd)] == [64, 64]
    assert [len(got.i.nics), len(got.i.gpus), len(got.g)] == [256, 64, 64]
    assert [len(got.denied), len(got.guard)] == [256, 64]


@pytest.mark.parametrize(
    "doc",
    [
        {"sha256": "0" * 63 + "\n", "size": 1},
        {"sha256": "A" * 64, "size": 1},
        {"sha256": "0" * 64, "size": -1},
        {"sha256": "0" * 64, "size": 1, "kind": "a" * 17},
        {"sha256": "0" * 64, "size": 1, "kind": "[red]"},
    ],
)
def test_a_document_of_a_guard_that_cannot_be_refuses_the_frame(doc: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match="guard"):
        read(guard=[doc])


def test_tables_over_the_bound_are_forgotten_and_the_host_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(data, "MAX_TABLES", 200_000)
    monkeypatch.setattr(data, "WEIGH_EVERY", 50_000)
    told = HostData()
    told.begin()

    def grow(seq: int) -> None:
        row = [f"{seq}", "user", "x" * 400, "", 1.0]
        line = frame(seq, key=seq == 1, t={"sessions": {"set": [row]}})[:-1]
        told.apply(decode(line), 1.0)
        told.weigh(len(line))

    for seq in range(1, 200):
        grow(seq)
    assert len(told.rows("sessions", 1.0)) == 199
    with pytest.raises(ProtocolError, match="sent tables of"):
        list(map(grow, range(200, 500)))
    assert told.rows("sessions", 1.0) == ()


def test_many_changes_of_a_small_table_are_no_weight() -> None:
    told = HostData()
    told.begin()
    for seq in range(1, 300):
        row = ["a", "user", "x" * 400, "", 1.0]
        told.apply(decode(frame(seq, key=seq == 1, **rows("sessions", [row]))[:-1]), 1.0)
        told.weigh(data.WEIGH_EVERY)


def packages(count: int) -> list[list[Any]]:
    return [[f"deb/p{n}/amd64", "deb", f"p{n}", "1.0", "amd64"] for n in range(count)]


def test_hosts_of_one_image_share_the_table_and_never_each_others_changes() -> None:
    hosts = []
    for _ in range(2):
        told = HostData()
        told.begin()
        told.apply(decode(frame(1, key=True, **rows("packages", packages(500)))[:-1]), 1.0)
        hosts.append(told)
    one, two = (told.tables["packages"] for told in hosts)
    assert one.rows is two.rows
    new = ["deb/new/amd64", "deb", "new", "2", "amd64"]
    keys = [new[0], *(row[0] for row in packages(500)[1:])]
    change = {"packages": {"set": [new], "gone": ["deb/p0/amd64"], "n": 500, "x": xor(keys)}}
    reason, _ = hosts[0].apply(decode(frame(2, t=change)[:-1]), 1.0)
    assert reason == ""
    assert "deb/new/amd64" in one.rows
    assert "deb/p0/amd64" not in one.rows
    assert "deb/new/amd64" not in two.rows
    assert "deb/p0/amd64" in two.rows
    reason, _ = hosts[1].apply(decode(frame(2, t={"packages": {"off": True}})[:-1]), 1.0)
    assert two.rows == {}
    assert len(one.rows) == 500


def test_shared_rows_are_short_and_whole_tables_few() -> None:
    tables._whole.clear()
    for number in range(tables.WHOLE + 10):
        told = HostData()
        told.begin()
        row = [f"deb/p{number}/amd64", "deb", "p", "1.0", "x" * tables.INTERNED_SIZE]
        told.apply(decode(frame(1, key=True, **rows("packages", [row]))[:-1]), 1.0)
        assert len(told.rows("packages", 1.0)) == 1
    assert len(tables._whole) == tables.WHOLE
    assert not [written for written in tables._interned if len(written) > tables.INTERNED_SIZE]


def test_a_line_pays_for_the_time_it_takes() -> None:
    assert frame_cost(1_000, 0, 0.0001) < 1.2
    assert frame_cost(1_000, 0, 0.5) >= BURST


async def settle(engine: LocalEngine, state: HostState) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while engine.snapshot().hosts[0].state is not state:
        assert asyncio.get_running_loop().time() < deadline, engine.snapshot().hosts[0]
        await asyncio.sleep(0.01)


async def test_a_defect_that_a_frame_meets_is_that_hosts_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transport = ScriptedTransport()
    engine = LocalEngine([host("bad"), host("good")], transport)
    await engine.start()
    try:
        await settle(engine, HostState.LIVE)

        def broken(self: HostData, size: int) -> None:
            raise KeyError("a defect")

        with monkeypatch.context() as patched:
            patched.setattr(HostData, "weigh", broken)
            transport.link("bad").sink.data(frame(2))
        await settle(engine, HostState.DOWN)
        assert "failed on: KeyError" in engine.snapshot().hosts[0].reason
        transport.link("good").sink.data(frame(2))
        assert engine.snapshot().hosts[1].state is HostState.LIVE
    finally:
        await engine.stop()


async def test_another_machine_under_the_same_name_is_an_event() -> None:
    transport = ScriptedTransport()
    engine = LocalEngine([host("gpu01")], transport)
    await engine.start()
    try:
        await settle(engine, HostState.LIVE)
        transport.greet = False
        transport.link("gpu01").sink.closed(None)
        await settle(engine, HostState.DOWN)
        engine.retry("gpu01")
        async with asyncio.timeout(10):
            while transport.attempts["gpu01"] < 2 or transport.link("gpu01").is_closed:  # noqa: ASYNC110  # the transport has no event
                await asyncio.sleep(0.01)
        other = "f" * 32
        transport.link("gpu01").sink.data(frame(1, key=True, host=other))
        await settle(engine, HostState.LIVE)
        (event,) = [e for e in engine.events() if e.kind == "host.id-changed"]
        assert event.facts == {"from": HOST_ID, "to": other}
    finally:
        await engine.stop()


scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
value = st.recursive(
    scalar, lambda x: st.lists(x, max_size=5) | st.dictionaries(st.text(max_size=8), x, max_size=5)
)
parts = st.fixed_dictionaries(
    {},
    optional={
        "f": st.dictionaries(st.sampled_from(["cpu_pct", "gpu", "load", "dt", "tx_bps", "nics",
                                              "mem_total_kib", "mem_avail_kib"]), value),
        "t": st.dictionaries(st.sampled_from(["listen", "procs", "flows"]), value),
        "e": st.lists(st.fixed_dictionaries(
            {"kind": st.text(max_size=9), "at": st.floats(allow_nan=False)},
            optional={"facts": st.dictionaries(st.text(max_size=8), value)})),
        "ps": value, "i": st.dictionaries(st.sampled_from(["os", "kernel", "nics", "gpus"]), value),
        "hello": st.fixed_dictionaries({"probe": st.text(max_size=5)},
                                       optional={"fast_s": st.floats(), "hostname": st.text()}),
        "g": st.lists(st.dictionaries(st.sampled_from(["index", "last_xid"]), scalar)),
        "denied": st.dictionaries(st.text(max_size=9), st.text(max_size=9)),
        "wall": st.floats(0, 9e10), "k": st.integers(0, 1),
    },
)  # fmt: skip


@given(st.lists(parts, max_size=4))
def test_whatever_a_host_says_every_line_and_document_can_be_made(frames: list[Any]) -> None:
    async def run() -> None:
        transport = ScriptedTransport()
        engine = LocalEngine([host("gpu01")], transport)
        await engine.start()
        try:
            await asyncio.sleep(0)
            await settle(engine, HostState.LIVE)
            for seq, more in enumerate(frames, 2):
                try:
                    sent = frame(seq, **more)
                except (msgspec.MsgspecError, ValueError, OverflowError):
                    continue  # no JSON has it
                transport.link("gpu01").sink.data(sent)
            snapshot = engine.snapshot()
            assert "failed on" not in snapshot.hosts[0].reason
            assert "defect" not in snapshot.hosts[0].reason
            await asyncio.sleep(0)
            for text in (encode(snapshot), table(snapshot), *map(event_line, engine.events())):
                for line in text.split("\n"):
                    assert clean(line, len(line)) == line
            for as_json in (True, False):
                list(Lines(engine, as_json=as_json).new(0.0))
        finally:
            await engine.stop()

    asyncio.run(run())


def test_small_rows_are_weighed_by_what_they_take_in_memory() -> None:
    """Rows of a few bytes on the wire, in two tables and again after a keyframe."""
    told = HostData()
    told.begin()
    sent = 0

    def grow(seq: int) -> None:
        nonlocal sent
        keys = [f"{seq}/{n}" for n in range(4_000)]
        tables = {
            "sessions": {"set": [[key, "", "", "", 0] for key in keys]},
            "openers": {"set": [[key, 0, "", "", "", ""] for key in keys]},
        }
        line = frame(seq, key=seq in (1, 12), t=tables)[:-1]
        told.apply(decode(line), 1.0)
        told.weigh(len(line))
        sent += 2 * len(keys)

    with pytest.raises(ProtocolError, match="sent tables of"):
        list(map(grow, range(1, 60)))
    assert 100_000 < sent < 180_000
    assert told.rows("sessions", 1.0) == ()
