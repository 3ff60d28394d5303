"""What the wall board says is wrong, and since when."""

from __future__ import annotations

from typing import Any

from console.model.host import HostState
from console.model.view import FleetSnapshot, HostView
from console.tui.meaning.board import Board, busiest, silence, state_severity, states
from console.tui.meaning.lately import Odd
from tests.support.still_engine import gpu, view

NOW = 1_700_000_000.0


def snapshot(*hosts: HostView) -> FleetSnapshot:
    return FleetSnapshot(version=1, at=NOW, hosts=hosts)


def well(name: str, **more: Any) -> HostView:
    fields: dict[str, Any] = {"listeners": (), "frame_at": NOW - 1, "since": NOW - 60}
    return view(name, **(fields | more))


def nobody(host: HostView) -> tuple[()]:
    return ()


def test_nothing_is_wrong_with_what_is_well() -> None:
    assert Board().wrong(snapshot(well("a"), well("b", gpus=())), NOW, nobody) == []


def test_the_worst_comes_first_and_says_since_when() -> None:
    down = well("down", state=HostState.DOWN, since=NOW - 300, reason="no route to host")
    stale = well("stale", state=HostState.STALE, since=NOW - 20)
    xid = well("xid", gpus=(gpu(3, 50.0, last_xid=79, last_xid_at=NOW - 40),))
    found = Board().wrong(snapshot(stale, xid, down), NOW, nobody)
    assert [item.words for item in found] == ["down DOWN", "xid GPU3 Xid 79", "stale STALE"]
    assert [item.severity for item in found] == ["bad", "bad", "warn"]
    assert [item.since for item in found] == [NOW - 300, NOW - 40, NOW - 20]
    assert found[0].detail == "no route to host"


def test_what_has_no_time_of_its_own_is_since_it_was_first_seen() -> None:
    board = Board()
    ill = snapshot(well("h", gpus=(gpu(0, 1.0, lost="GPU is lost"),)))
    assert board.wrong(ill, NOW, nobody)[0].since == NOW
    assert board.wrong(ill, NOW + 30, nobody)[0].since == NOW
    assert board.wrong(snapshot(well("h")), NOW + 40, nobody) == []
    assert board.wrong(ill, NOW + 50, nobody)[0].since == NOW + 50, "it came back"


def test_connecting_is_given_time() -> None:
    young = well("h", state=HostState.CONNECTING, since=NOW - 5)
    assert state_severity(young, NOW) == ""
    assert state_severity(young, NOW + 60) == "warn"


def test_silence() -> None:
    assert silence(snapshot(), NOW) is None
    assert silence(snapshot(well("a", frame_at=NOW - 100), well("b")), NOW) is None
    assert silence(snapshot(well("a", frame_at=NOW - 100)), NOW) == 100
    assert silence(snapshot(well("a", frame_at=None, since=NOW - 60)), NOW) == 60
    desk = well("desk", workstation=True)
    assert silence(snapshot(desk, well("a", frame_at=NOW - 60)), NOW) == 60, "it is no host"


def test_busiest_are_live_hosts_with_gpus() -> None:
    hosts = (
        well("idle", gpus=(gpu(0, 1.0),)), well("busy", gpus=(gpu(0, 99.0, temp_c=81.0),)),
        well("none", gpus=()), well("gone", state=HostState.DOWN),
    )  # fmt: skip
    found = busiest(snapshot(*hosts))
    assert [item.host for item in found] == ["busy", "idle"]
    assert (found[0].load, found[0].heat, found[0].memory) == (99.0, 81.0, 50.0)
    assert states(snapshot(*hosts))[HostState.LIVE] == 3


def test_what_happened_lately_is_told_beside_what_is_wrong_now() -> None:
    odd = Odd(4, NOW - 90, "login after 40 refused", "login of svc from 203.0.113.77")
    down = well("gw", state=HostState.DOWN, reason="no route to host", since=NOW - 5)
    for host, words in ((well("gw"), []), (down, ["gw DOWN"])):
        found = Board().wrong(snapshot(host), NOW, nobody, lambda view: [odd])
        assert [item.words for item in found] == [*words, "gw login after 40 refused"]
        assert (found[-1].severity, found[-1].since) == ("warn", NOW - 90)
        assert found[-1].detail == "login of svc from 203.0.113.77"
