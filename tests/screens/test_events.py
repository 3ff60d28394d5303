"""The rows of events: what repeats is counted, what differs stays in view."""

from __future__ import annotations

from typing import Any

from console.model.event import Event
from console.tui.events import FOLD_S, EventRows, event_line
from console.tui.look import Look


def event(kind: str, at: float, key: str = "", host: str = "gw", **facts: Any) -> Event:
    return Event(kind=kind, host=host, at=at, key=key, facts=facts)


def test_a_brute_force_is_one_row_that_counts_and_stays_on_top() -> None:
    rows = EventRows(10)
    rows.add([event("kernel.xid", 5.0, "79", xid=79, pci="1b", message="off the bus")])
    for n in range(40):
        rows.add([event("auth.failed", 10.0 + n, user=f"u{n}", source="203.0.113.7")])
    first, second = rows.rows()
    assert (first.count, first.first_at, first.last.facts["user"]) == (40, 10.0, "u39")
    assert second.last.kind == "kernel.xid"
    shown = "".join(text for text, _ in event_line(first, Look()))
    assert "u39 from 203.0.113.7 refused  and 39 more like it since" in shown


def test_other_sources_hosts_and_listeners_are_rows_of_their_own() -> None:
    rows = EventRows(10)
    rows.add(
        [
            event("auth.failed", 1.0, source="a"),
            event("auth.failed", 2.0, source="b"),
            event("auth.failed", 3.0, source="a", host="other"),
            event("listener.new", 4.0, "tcp/0.0.0.0:4444", name="nc", pid=1),
            event("listener.new", 5.0, "tcp/0.0.0.0:4445", name="nc", pid=1),
            event("listener.gone", 6.0, "tcp/0.0.0.0:1"),
            event("listener.gone", 7.0, "tcp/0.0.0.0:2"),
        ]
    )
    assert [row.count for row in rows.rows()] == [2, 1, 1, 1, 1, 1]


def test_a_repetition_after_a_pause_is_a_new_row_and_the_old_one_keeps_its_place() -> None:
    rows = EventRows(10)
    rows.add([event("auth.failed", 1.0, source="a"), event("host.rebooted", 2.0)])
    rows.add([event("auth.failed", 2.0 + FOLD_S, source="a")])
    assert [row.last.kind for row in rows.rows()] == ["auth.failed", "host.rebooted", "auth.failed"]


def test_a_process_that_takes_several_gpus_is_one_row_that_names_them() -> None:
    rows = EventRows(10)
    rows.add(event("gpu.process.new", 1.0, f"{n}/7", pid=7, gpu=n, name="x") for n in (5, 6))
    (row,) = rows.rows()
    shown = "".join(text for text, _ in event_line(row, Look(), host=False))
    assert "new process on GPU 5, 6: x (pid 7, ?)" in shown
    assert "more like it" not in shown


def test_no_more_rows_than_the_limit() -> None:
    rows = EventRows(3)
    rows.add(event("listener.new", float(n), f"tcp/:{n}") for n in range(9))
    assert [row.last.key for row in rows.rows()] == ["tcp/:8", "tcp/:7", "tcp/:6"]
    rows.add([event("listener.new", 9.0, "tcp/:0")])
    assert rows.rows()[0].count == 1, "what fell out is not remembered"
