"""The rows of events: what repeats is counted, what differs stays in view."""

from __future__ import annotations

from typing import Any

from console.engine.logins import DOUBT_S, MOST, Logins
from console.model.event import Event
from console.tui.meaning.events import FOLD_S, EventRows, event_line
from console.tui.screens.fleet import ROUTINE
from console.tui.style.look import Look


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
    assert (
        "logins from 203.0.113.7 refused, 40 times, users u39, u38, u37, u36 and 36 more" in shown
    )
    assert shown.endswith("  since 01-01 00:00:10")


def test_rows_stand_by_when_they_happened_whatever_came_late() -> None:
    rows = EventRows(10)
    rows.add(event("kernel.xid", at, str(at), xid=int(at)) for at in (30.0, 10.0, 20.0))
    assert [row.last.at for row in rows.rows()] == [30.0, 20.0, 10.0]
    rows.add([event("auth.failed", 40.0, user="a", source="x")])
    rows.add([event("auth.failed", 25.0, user="b", source="x")])
    first = rows.rows()[0]
    assert (first.count, first.first_at, first.last.at) == (2, 25.0, 40.0)


def test_refusals_of_one_user_name_that_user() -> None:
    rows = EventRows(10)
    rows.add(event("auth.failed", float(n), user="root", source="a") for n in range(3))
    shown = "".join(text for text, _ in event_line(rows.rows()[0], Look()))
    assert "logins from a refused, 3 times, user root  since" in shown


def shown_of(rows: EventRows) -> list[tuple[str, str]]:
    """Style and words of each row, newest first."""
    return [tuple(event_line(row, Look(), host=False)[-1])[::-1] for row in rows.rows()]  # type: ignore[misc]


def test_who_got_in_after_refusals_or_by_password_is_a_warning_and_so_is_their_sudo() -> None:
    rows = EventRows(20, routine=ROUTINE)
    rows.add(event("auth.failed", float(n), user=f"u{n}", source="203.0.113.7") for n in range(40))
    rows.add(
        [
            event("auth.accepted", 50.0, user="ops", source="10.0.0.1", method="publickey"),
            event("auth.sudo", 51.0, user="ops", command="id"),
            event("auth.accepted", 60.0, user="svc", source="203.0.113.7", method="publickey"),
            event("auth.sudo", 61.0, user="svc", command="sh"),
            event("auth.accepted", 62.0, user="bob", source="10.0.0.2", method="password"),
            event("auth.sudo", 62.0, user="svc", command="sh", host="other"),
            event("auth.sudo", 62.0 + DOUBT_S, user="svc", command="late"),
        ]
    )
    assert shown_of(rows)[:-1] == [
        ("warn", "login of bob from 10.0.0.2 by password"),
        ("warn", "sudo by svc: sh"),
        (
            "warn",
            "login of svc from 203.0.113.7 by publickey after 40 refused logins "
            "from the same address",
        ),
    ]


def test_no_more_addresses_are_remembered_than_the_bound() -> None:
    logins = Logins()
    for n in range(MOST + 1):
        logins.read(event("auth.failed", float(n), user="u", source=str(n)))
    first, last = (
        logins.read(event("auth.accepted", 1e6, user="u", source=source, method="publickey"))
        for source in ("0", str(MOST))
    )
    assert "refused_before" not in first.facts
    assert last.facts["refused_before"] == 1


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
    rows.add(event("gpu.process.new", 1.0, f"{n}/7", pid=7, gpu=n, name="x") for n in (5, 6, 5))
    (row,) = rows.rows()
    shown = "".join(text for text, _ in event_line(row, Look(), host=False))
    assert "new process on GPUs 5, 6: x (pid 7, ?)" in shown
    assert "more like it" not in shown


def test_no_more_rows_than_the_limit() -> None:
    rows = EventRows(3)
    rows.add(event("listener.new", float(n), f"tcp/:{n}") for n in range(9))
    assert [row.last.key for row in rows.rows()] == ["tcp/:8", "tcp/:7", "tcp/:6"]
    rows.add([event("listener.new", 9.0, "tcp/:0")])
    assert rows.rows()[0].count == 1, "what fell out is not remembered"


def test_what_is_frequent_never_hides_what_is_rare() -> None:
    rows = EventRows(20)
    rows.add([event("kernel.xid", 1.0, "79", xid=79, pci="1b", message="off the bus")])
    rows.add(event("listener.new", 2.0 + n, f"tcp/127.0.0.1:{n}", name="x") for n in range(500))
    assert len(rows.rows()) == 20
    assert rows.rows()[-1].last.kind == "kernel.xid"
