"""What keeps many hosts from LIVE is said once in the table of ``status``."""

from __future__ import annotations

from console.headless.plain import table
from console.model.host import HostState
from console.model.view import FleetSnapshot
from tests.support.still_engine import view

WHY = "/k-cert.pub: the certificate cannot be read"


def test_one_reason_of_many_hosts_is_said_once() -> None:
    hosts = [view(f"g{n:03}", HostState.REFUSED, reason=WHY) for n in range(1, 148)]
    text = table(FleetSnapshot(hosts=(*hosts, view("z"))))
    assert text.count(WHY) == 1
    assert "147 REFUSED" in text
    assert "g001  REFUSED" in text
    assert "  and 146 more hosts with the same, g002 to g147\n" in text
    assert "\nz     LIVE" in text


def test_few_hosts_and_other_reasons_keep_their_lines() -> None:
    few = [view(f"a{n}", HostState.DOWN, reason=WHY) for n in range(3)]
    other = [view(f"b{n}", HostState.DOWN, reason=f"{n}") for n in range(9)]
    live = [view(f"c{n}", HostState.LIVE) for n in range(9)]
    begin = [view(f"d{n}", HostState.CONNECTING) for n in range(9)]
    text = table(FleetSnapshot(hosts=(*few, *other, *live, *begin)))
    assert "more hosts" not in text
    assert len(text.splitlines()) == 1 + 3 + 27
