"""The document of ``status --json``: versioned, whole for every state, and clean."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from console.engine.session import LocalEngine
from console.headless.document import UNREAD, VERSION, document, encode
from console.headless.plain import event_line, summary, table
from console.headless.status import code, collect, settled
from console.model.event import Event
from console.model.host import HostState
from console.model.inventory import Inventory, KernelFacts
from console.model.view import FleetSnapshot, HostView
from tests.support.scripted import ScriptedTransport, frame, host
from tests.support.still_engine import gpu, listener, poisoned, view

ASKED = {"name", "state", "age_s", "reason", "gpus", "processes", "listeners", "inventory"}
GPU = {"index", "name", "uuid", "util_pct", "mem_used_mib", "mem_total_mib", "temp_c", "power_w"}
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u200b]")


def snapshot(*views: HostView) -> FleetSnapshot:
    return FleetSnapshot(version=1, at=1_700_000_100.0, hosts=views)


def written(*views: HostView) -> dict[str, Any]:
    return dict(json.loads(encode(snapshot(*views))))


@pytest.mark.parametrize("state", HostState)
def test_every_state_is_a_whole_document(state: HostState) -> None:
    whole = written(view("gpu01", state, reason="why", frame_at=1_700_000_090.0))
    assert whole["version"] == VERSION == 1
    (out,) = whole["hosts"]
    assert out.keys() >= ASKED
    assert (out["name"], out["state"], out["reason"]) == ("gpu01", state.value, "why")
    assert out["age_s"] == 10.0
    assert len(out["gpus"]) == 8
    assert out["gpus"][3].keys() >= GPU
    assert out["gpus"][3]["util_pct"] == 36.0
    assert out["processes"][1]["pid"] == 7
    assert out["listeners"][0].keys() >= {"proto", "address", "port", "pid", "name"}
    assert out["inventory"]["os"]["id"] == "debian"
    assert out["inventory"]["packages"][0]["name"] == "bash"
    assert table(snapshot(view("gpu01", state, reason="why"))).count("\n") == 2


def test_a_host_that_never_spoke_has_the_same_keys() -> None:
    spoke = written(view("a"))["hosts"][0]
    silent = written(HostView(spec=host("b"), reason="connecting"))["hosts"][0]
    assert silent.keys() == spoke.keys()
    assert silent["age_s"] is None
    assert silent["gpus"] == silent["processes"] == silent["listeners"] == []
    assert silent["counters"] is silent["probe"] is silent["link"] is None


def test_a_document_is_one_line_and_no_hosts_is_a_document_too() -> None:
    text = encode(snapshot(view("a"), view("b")))
    assert text.count("\n") == 1
    assert text.endswith("\n")
    assert written() == {"version": 1, "at": 1_700_000_100.0, "hosts": []}
    assert "config init" in summary(snapshot())
    told = summary(snapshot(), ["/etc/watchfloor/config.toml", "/home/me/config.toml"])
    assert told == "no hosts are configured: add hosts to /home/me/config.toml"


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], 0),
        ([HostState.LIVE, HostState.LIVE], 0),
        *(([HostState.LIVE, state], 1) for state in HostState if state is not HostState.LIVE),
    ],
)
def test_the_exit_code_is_0_only_when_all_are_live(states: list[HostState], expected: int) -> None:
    views = [view(f"h{n}", state) for n, state in enumerate(states)]
    assert code(snapshot(*views)) == expected
    stale = view("here", HostState.STALE, workstation=True)
    assert code(snapshot(stale, *views)) == expected, "this machine's own row does not count"


def test_control_characters_cannot_leave_even_if_they_had_come_in() -> None:
    """Text is cleaned on arrival; the JSON escapes what a defect there would let through."""
    bad = poisoned(view("gpu01"), "\x1b]52;c;eA==\x07")
    text = encode(snapshot(msgspec.structs.replace(bad, state=HostState.LIVE)))
    assert not UNSAFE.search(text)
    assert "\\u001b]52" in text


@pytest.mark.parametrize("at", [-1.0, 0.0, 1e10, 1e11, 1e18, -1e18, float("inf"), float("nan")])
def test_no_date_is_too_strange_for_a_line(at: float) -> None:
    line = event_line(Event(kind="x", host="gpu01", at=at, key="k"))
    assert re.match(r"(\d\d:\d\d:\d\dZ|--:--:--Z) ", line)
    assert "gpu01" in line


async def test_status_waits_for_the_facts_and_stops_the_engine() -> None:
    transport = ScriptedTransport()
    engine = LocalEngine([host("gpu01")], transport)
    got = await collect(engine, 0.5)
    assert got.hosts[0].state is HostState.LIVE
    assert not settled(got.hosts[0]), "it never told its inventory"
    assert transport.closed


async def test_a_host_that_never_answers_ends_within_the_timeout() -> None:
    import asyncio
    import time

    transport = ScriptedTransport()
    transport.hold = asyncio.Event()
    began = time.monotonic()
    got = await collect(LocalEngine([host("gpu01")], transport), 0.3)
    assert time.monotonic() - began < 3
    assert got.hosts[0].state is HostState.CONNECTING
    assert code(got) == 1


def test_a_frame_of_strange_dates_is_shown() -> None:
    """What decode lets through, every line can be made of."""
    from console.fleet.decode import decode

    for at in (-1, 1e18, 10**18, 99_999_999_999, 0):
        event = decode(frame(2, e=[{"kind": "x", "at": at}])[:-1]).frame.e[0]
        assert 0 <= event.at < 1e11
        assert document(snapshot(view("a")))["version"] == 1
        assert event_line(Event(kind=event.kind, host="a", at=event.at))


def test_one_is_not_written_as_many() -> None:
    one = view("a", gpus=(gpu(0, 5.0),), listeners=(), denied={"dmesg": "CAP_SYSLOG"})
    assert summary(snapshot(one)).startswith("1 host: 1 LIVE; 1 GPU, ")
    line = table(snapshot(one)).splitlines()[1]
    assert "1 GPU 5%" in line
    assert "0 listeners, 1 thing denied" in line


@pytest.mark.parametrize("tier", [0, 1, 2])
def test_a_key_that_opens_a_shell_is_said_in_every_form(tier: int) -> None:
    shell = "its key opens a shell on this host"
    seen = view("gpu01", spec=host("gpu01", tier=tier))
    assert (f"WARNING: {shell}" in table(snapshot(seen))) is (tier == 0)
    assert written(seen)["hosts"][0]["findings"] == ([shell] if tier == 0 else [])


def workstation(**fields: Any) -> HostView:
    return HostView(
        spec=host("workstation"),
        state=HostState.LIVE,
        workstation=True,
        inventory=Inventory(kernel=KernelFacts(release="6.1.0")),
        listeners=(listener(22, uid=-1),),
        facts={"administrator": "yes: root", "agent keys": "none: no agent", "firewall": "no: x"},
        **fields,
    )


def test_what_is_not_read_of_the_workstation_is_null_and_never_empty() -> None:
    (out,) = written(workstation())["hosts"]
    unread = {name: out[name] for name in UNREAD}
    assert unread == dict.fromkeys(UNREAD)
    assert out["listeners"][0]["port"] == 22
    assert out["listeners"][0]["uid"] is None
    assert out["inventory"]["kernel"]["release"] == "6.1.0"
    assert out["inventory"]["kernel"]["cmdline"] is None
    assert out["inventory"]["packages"] is out["inventory"]["accounts"] is None
    assert out["findings"] == ["administrator", "no firewall"]
    assert written(HostView(spec=host("a")))["hosts"][0]["sessions"] == [], "a host says none"


def test_the_line_of_the_workstation_is_calm_and_marks_risks() -> None:
    line = table(snapshot(workstation())).splitlines()[1]
    assert line.endswith("1 listener; WARNING: administrator, no firewall")
    assert "agent" not in line
