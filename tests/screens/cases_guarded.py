"""Cases of ``test_actions`` for what is asked of hosts, by two people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from console.tui.screens.form import ActionScreen, FormScreen
from console.tui.screens.request import RequestScreen
from console.tui.screens.requests import RequestsScreen
from console.tui.screens.sign import SignScreen
from tests.support.acting_engine import (
    DELETE,
    RID,
    ActingEngine,
    active_view,
    guard_view,
    request_view,
)

if TYPE_CHECKING:
    from tests.screens.test_actions import Hand

CASES: dict[str, Callable[[Hand], Awaitable[None]]] = {}


def _engine(hand: Hand) -> ActingEngine:
    assert isinstance(hand.engine, ActingEngine)
    return hand.engine


async def _signed(hand: Hand, word: str) -> None:
    """Scroll to the end of what would be signed, and type the word."""
    assert isinstance(hand.app.screen, SignScreen), hand.app.screen
    assert not _engine(hand).done("submit", "approve", "deny", "cancel", "begin", "review")
    await hand.press("enter")
    assert isinstance(hand.app.screen, SignScreen), "Enter alone signs nothing"
    for _ in range(20):
        await hand.press("pagedown")
    await hand.press(*word, "enter")
    await hand.pilot.pause()


async def _open(hand: Hand, host: str = "gpu01") -> RequestScreen:
    hand.app.open_request(host, RID)
    await hand.press()
    assert isinstance(hand.app.screen, RequestScreen)
    return hand.app.screen


def _hosts(screen: RequestsScreen) -> list[str]:
    rows = [screen.table.model.row(key) for key in screen.table.model.order]
    return [row.host for row in rows if row is not None]


def _is(hand: Hand, kind: type[Screen[Any]]) -> bool:
    return isinstance(hand.app.screen, kind)


async def _requests(hand: Hand) -> None:
    engine = _engine(hand)
    engine.guard("gpu03", requests=(request_view("gpu03"),))
    engine.guard("gpu05", active=(active_view("gpu05", id="cd" * 32),))
    await hand.do("app.requests")
    screen = hand.app.screen
    assert isinstance(screen, RequestsScreen)
    assert _hosts(screen) == ["gpu03", "gpu05"]
    await hand.do("requests.filter")
    await hand.press(*"standing", "enter")
    assert _hosts(screen) == ["gpu05"]
    await hand.do("requests.back")
    assert not screen.table.model.filter
    await hand.type("sort host")
    order = list(screen.table.model.order)
    await hand.do("requests.reverse")
    assert screen.table.model.order == order[::-1]
    before = screen.table.model.sort
    await hand.do("requests.sort")
    assert screen.table.model.sort != before
    await hand.type("requests gpu05")
    narrow = hand.app.screen
    assert isinstance(narrow, RequestsScreen)
    assert _hosts(narrow) == ["gpu05"]
    await hand.do("requests.open")
    assert isinstance(hand.app.screen, RequestScreen)
    assert hand.app.screen.host == "gpu05"
    await hand.do("request.back")
    await hand.do("requests.back")
    assert hand.in_fleet()
    await hand.type("requests nowhere")
    assert "no host is called nowhere" in hand.shown


async def _act(hand: Hand) -> None:
    engine = _engine(hand)
    await hand.press("down")
    await hand.do("app.act")
    assert _is(hand, ActionScreen)
    assert "action on gpu02" in hand.shown
    await hand.press(*"iso", "tab", "enter")
    assert _is(hand, FormScreen)
    await hand.press(*"weights leave", "enter")
    assert engine.done("preview") == [("preview", "gpu02", "isolate", "mgmt=10.0.0.0/8",
                                       "confirm_s=60")]  # fmt: skip
    await _signed(hand, "gpu02")
    assert engine.done("submit") == [("submit", "gpu02", "isolate", "two_before", "weights leave")]
    assert _is(hand, RequestsScreen)
    assert "gpu02: requested, PENDING" in hand.shown


async def _fetch(hand: Hand) -> None:
    engine = _engine(hand)
    done = active_view("gpu01", action="collect-evidence", state="DONE")
    engine.guard("gpu01", closed=(done,))
    await _open(hand)
    await hand.type("fetch /tmp/nowhere")
    await _signed(hand, "fetch")
    await hand.pilot.pause()
    assert engine.done("fetch") == [("fetch", "gpu01", RID, "/tmp/nowhere")]
    assert "sha256" in hand.shown


async def _request(hand: Hand) -> None:
    engine = _engine(hand)
    await hand.type("request block-source gpu0[12] source=203.0.113.9 reason=it scans us")
    await hand.press()
    await _signed(hand, "request")
    assert engine.done("submit") == [
        ("submit", "gpu01", "gpu02", "block-source", "two_before", "it scans us")
    ]
    assert "what the hosts answered" in hand.shown
    assert "gpu01" in hand.shown
    await hand.press("escape")
    await hand.type("request block-source gpu01 sorce=1 reason=x")
    assert "block-source has no sorce" in hand.shown
    await hand.type("request blok gpu01")
    assert "no action is called blok" in hand.shown
    await hand.type("request isolate gpu")
    assert "no host is called gpu" in hand.shown


async def _operator(hand: Hand) -> None:
    await hand.type("operator ben")
    assert "one person sits at this console" in hand.shown


async def _approve(hand: Hand) -> None:
    engine = _engine(hand)
    engine.guard("gpu01", requests=(request_view(),))
    await _open(hand)
    await hand.do("request.approve")
    await _signed(hand, "gpu01")
    assert engine.done("approve") == [("approve", "gpu01", RID, "")]
    assert "gpu01: approved" in hand.shown


async def _deny(hand: Hand) -> None:
    engine = _engine(hand)
    engine.guard("gpu01", requests=(request_view(),))
    await _open(hand)
    await hand.type("deny not that host")
    assert "not that host" in hand.shown or isinstance(hand.app.screen, SignScreen)
    await _signed(hand, "deny")
    assert engine.done("deny") == [("deny", "gpu01", RID, "not that host")]


async def _cancel(hand: Hand) -> None:
    engine = _engine(hand)
    engine.guard("gpu01", requests=(request_view(mine=True, may_approve=False),))
    await _open(hand)
    await hand.do("request.cancel")
    await _signed(hand, "cancel")
    assert engine.done("cancel") == [("cancel", "gpu01", RID, "")]


async def _start(hand: Hand) -> None:
    engine = _engine(hand)
    mine = request_view(
        mine=True, may_approve=False, may_start=True, state="APPROVED", action="secure-delete",
        about=DELETE,
    )  # fmt: skip
    engine.guard("gpu01", requests=(mine,))
    await _open(hand)
    await hand.do("request.start")
    await _signed(hand, "gpu01")
    assert engine.done("begin") == [("begin", "gpu01", RID)]


async def _release(hand: Hand) -> None:
    engine = _engine(hand)
    engine.guard("gpu01", active=(active_view(),))
    await _open(hand)
    await hand.do("request.release")
    assert isinstance(hand.app.screen, FormScreen), "the reason is asked for"
    await hand.press(*"it is clean", "enter")
    await _signed(hand, "gpu01")
    assert engine.done("submit") == [("submit", "gpu01", "release", "two_before", "it is clean")]
    assert engine.done("preview")[-1][-1] == f"id={RID}"


async def _review(hand: Hand) -> None:
    engine = _engine(hand)
    guard = guard_view(
        active=(active_view(mode="break_glass", approvers=()),), unreviewed=(("anna", RID),)
    )
    engine.guard("gpu01", active=guard.active, unreviewed=guard.unreviewed)
    await _open(hand)
    await hand.do("request.review")
    assert "say what you found" in hand.shown
    await hand.press(*"it was right", "enter")
    await hand.press()
    await _signed(hand, "review")
    assert engine.done("review") == [("review", "gpu01", RID, "it was right")]


for _ids, _case in (
    (
        "app.requests requests.back requests.open requests.filter requests.sort requests.reverse"
        " request.back",
        _requests,
    ),
    ("app.act", _act),
    ("app.request", _request),
    ("app.operator", _operator),
    ("request.approve", _approve),
    ("request.deny", _deny),
    ("request.cancel", _cancel),
    ("request.start", _start),
    ("request.release", _release),
    ("request.review", _review),
    ("request.fetch", _fetch),
):
    CASES |= dict.fromkeys(_ids.split(), _case)
