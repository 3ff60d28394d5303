"""What happened lately and needs a look: what is told, for how long, and no more than a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from console.model.event import Event
from console.model.view import HostView
from console.tui.meaning import facts, present
from console.tui.meaning.lately import LATELY_S, MANY, MOST, Lately
from console.tui.meaning.newcomers import Newcomers
from console.tui.screens.fleet_columns import columns, needs_look, text
from console.tui.style.look import Look
from tests.support.still_engine import listener, view

NOW = 1_700_000_000.0
BURGLAR = "203.0.113.77"


@pytest.fixture(autouse=True)
def _still() -> Iterator[None]:
    present.follow(lambda: NOW)
    yield
    present.follow(None)


def event(kind: str, ago: float = 60.0, host: str = "gw", **more: Any) -> Event:
    return Event(kind=kind, host=host, at=NOW - ago, key="k", facts=more)


def refused(count: int, ago: float = 60.0, **more: Any) -> list[Event]:
    known = {"user": "root", "source": BURGLAR} | more
    return [event("auth.failed", ago, **known) for _ in range(count)]


def login(**more: Any) -> Event:
    return event("auth.accepted", user="svc", source=BURGLAR, method="password", **more)


def told(*events: Event, host: str = "gw", **more: Any) -> list[str]:
    known = Lately()
    for each in events:
        known.see(each)
    return [odd.words for odd in known.of(well(host, **more))]


def well(name: str, **more: Any) -> HostView:
    return view(name, listeners=(listener(22),), gpus=(), **more)


def test_a_break_in_is_told_the_worst_first() -> None:
    sudo = event("auth.sudo", user="svc", command="/bin/sh")
    assert told(*refused(40), login(), sudo) == [
        "login after 40 refused", "sudo by svc", "40 logins refused",
    ]  # fmt: skip
    assert told(login()) == [], "a password alone is no break-in"
    assert told(sudo) == [], "sudo of who came in as usual"


def test_refused_logins_count_from_ten_and_by_address() -> None:
    assert told(*refused(MANY - 1)) == []
    assert told(*refused(MANY)) == [f"{MANY} logins refused"]
    assert told(*refused(9), *refused(9, source="198.51.100.1")) == []
    assert told(*refused(9, LATELY_S + 120), *refused(9, 5)) == [], "half an hour apart"


def test_opened_weights_name_the_program() -> None:
    opened = event("weights.opened", name="rclone", pid=7, user="svc", path="/srv/models/a")
    assert told(opened) == ["rclone opened weights"]
    assert told(opened, host="other") == []
    known = Lately()
    known.see(opened)
    (odd,) = known.of(well("gw"))
    assert odd.sentence == "rclone (pid 7, svc) opened /srv/models/a"


def test_it_is_told_for_half_an_hour_of_the_time_of_events() -> None:
    opened = {"name": "rclone"}
    assert told(event("weights.opened", LATELY_S - 1, **opened))
    assert not told(event("weights.opened", LATELY_S + 1, **opened))
    behind = event("weights.opened", 7200, **opened)
    assert told(behind, clock_skew_s=-7200.0), "by the host's clock it was just now"
    ahead = event("weights.opened", -1e10, **opened)
    assert told(ahead), "a date in the future hides nothing"
    known = Lately()
    known.see(ahead)
    present.follow(lambda: NOW + LATELY_S + 1)
    assert known.of(well("gw")) == [], "and is not told for ever"


def test_no_more_is_remembered_than_the_bound() -> None:
    known = Lately()
    for n in range(500):
        known.see(event("weights.opened", name=f"p{n}"))
        for each in refused(1, source=f"a{n}", user="u" * 500):
            known.see(each)
    assert len(known.of(well("gw"))) == MOST
    assert len(known._refused["gw"]) == MOST
    assert all(len(user) < 64 for one in known._refused["gw"].values() for user in one.users)


@pytest.mark.parametrize("odd", [[1], {"a": 1}, None, 1e308, -1, "x" * 600, True])
def test_strange_facts_are_no_defect(odd: Any) -> None:
    names = ("user", "source", "name", "refused_before", "doubted", "pid", "path", "command")
    for kind in ("auth.failed", "auth.accepted", "auth.sudo", "weights.opened"):
        strange = [event(kind, **dict.fromkeys(names, odd))] * MANY
        assert all(len(words) < 60 for words in told(*strange))


def test_a_seek_forgets() -> None:
    new = Newcomers()
    new.see([*refused(40), login()])
    assert new.lately(well("gw"))
    new.clear()
    assert not new.lately(well("gw"))


def test_the_row_the_search_and_the_page_know_of_it() -> None:
    new = Newcomers()
    host = well("gw")
    assert not needs_look(host, (), new.lately(host))
    new.see([*refused(40), login()])
    lately = new.lately(host)
    assert needs_look(host, (), lately)
    (worst,) = (column for column in columns(new) if column.id == "worst")
    assert worst.cell(host, Look()) == [("▲ login after 40 refused", "warn")]
    assert worst.told is not None
    assert worst.told(host) == "login after 40 refused"
    assert "login after 40 refused" in text(host, new), "a filter finds what the row says"
    (first, *_) = facts.suspects(host, (), lately)
    assert first == (
        f"login of svc from {BURGLAR} by password after 40 refused logins from the same address, "
        "60s ago"
    )
    loud = view("gw", listeners=(listener(4444),), gpus=())
    assert facts.trouble(loud, (), lately)[2] == "login after 40 refused", "before a listener"


def test_the_risks_of_the_workstation_are_no_news() -> None:
    desk = view("desk", workstation=True, gpus=(), facts={"screen lock": "no"})
    assert facts.risks(desk)
    assert not needs_look(desk)
    (worst,) = (column for column in columns(Newcomers()) if column.id == "worst")
    ((shown, _),) = worst.cell(desk, Look())
    assert worst.told is not None
    assert worst.told(desk) == shown.removeprefix("▲ "), "an export says what is shown"
    assert "1 risk: " in text(desk, Newcomers())
