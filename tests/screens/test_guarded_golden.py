"""The screens of guarded actions as text, at several sizes, with clocks that stand still."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from console.tui.app import ConsoleApp
from console.tui.screens.sign import SignScreen
from console.tui.style.look import Look
from console.tui.style.theme_files import ThemeFiles
from tests.screens.conftest import make_app, settle, text
from tests.support.acting_engine import (
    RID,
    ActingEngine,
    active_view,
    guard_view,
    request_view,
)
from tests.support.still_engine import view

NOW = 1_700_000_000.0
SIZES = ((80, 24), (120, 40), (160, 48))
Golden = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(time, "localtime", time.gmtime)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for name in ("SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)


def engine() -> ActingEngine:
    """A guard in every state that a fleet shows."""
    ids = {name: f"{n:02x}" * 32 for n, name in enumerate(("a", "b", "c", "d", "e", "f"))}
    applied = active_view("gpu03", id=ids["a"], state="APPLIED", deadline=NOW + 58,
                          needs=("confirm",))  # fmt: skip
    doubted = request_view(
        "gpu02", id=ids["b"], verified=False, may_approve=False, requester="mallory",
        why_not_verified="its signature is of another request", words="zulu " * 5 + "zulu",
    )  # fmt: skip
    lost = active_view("gpu05", id=ids["c"], holds=False)
    ended = active_view("gpu06", id=ids["d"], state="REVERTED", action="block-source",
                        why="nobody confirmed it in time",
                        parameters=(("source", "203.0.113.9"),))  # fmt: skip
    alone = active_view("gpu07", id=ids["e"], mode="break_glass", approvers=(), requester="cara")
    return ActingEngine(
        view("gpu01", guard=guard_view(requests=(request_view("gpu01"),))),
        view("gpu02", guard=guard_view(requests=(doubted,))),
        view("gpu03", guard=guard_view(active=(applied,), isolation="isolated, not confirmed yet")),
        view("gpu04", guard=guard_view(active=(active_view("gpu04", id=ids["f"]),),
                                       isolation="isolated")),
        view("gpu05", guard=guard_view(active=(lost,), isolation="LOST: the rules are gone")),
        view("gpu06", guard=guard_view(closed=(ended,), roster_ok="differs from this console's "
                                       "signed roster")),
        view("gpu07", guard=guard_view(active=(alone,), unreviewed=(("cara", ids["e"]),))),
        view("gpu08"),
    )  # fmt: skip


def sized(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("size", SIZES, ids=sized)
async def test_fleet(size: tuple[int, int], golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        golden(f"guarded-fleet-{sized(size)}", text(app))


@pytest.mark.parametrize("size", SIZES, ids=sized)
async def test_requests(size: tuple[int, int], golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("R")
        await settle(pilot)
        golden(f"guarded-requests-{sized(size)}", text(app))


async def _request(app: ConsoleApp, pilot: Pilot[None], host: str, id: str) -> str:
    app.open_request(host, id)
    await settle(pilot)
    return text(app)


@pytest.mark.parametrize("size", SIZES[:2], ids=sized)
async def test_one_request(size: tuple[int, int], golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        golden(f"guarded-request-{sized(size)}", await _request(app, pilot, "gpu01", RID))


async def test_a_doubtful_request(golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        golden("guarded-doubtful", await _request(app, pilot, "gpu02", "01" * 32))


async def test_what_is_applied(golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        golden("guarded-applied", await _request(app, pilot, "gpu03", "00" * 32))


async def _sign(app: ConsoleApp, pilot: Pilot[None]) -> str:
    await _request(app, pilot, "gpu01", RID)
    await pilot.press("a")
    for _ in range(200):
        await pilot.pause(0.01)
        if isinstance(app.screen, SignScreen) and app.screen._painted:
            break
    await settle(pilot)
    return text(app)


@pytest.mark.parametrize("size", SIZES[:2], ids=sized)
async def test_sign(size: tuple[int, int], golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        shown = await _sign(app, pilot)
        for _ in range(6):
            await pilot.press("pagedown")
            await pilot.pause()
        golden(f"guarded-sign-{sized(size)}", shown + text(app))


async def test_form_and_preview(golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=(120, 50)) as pilot:
        await settle(pilot)
        await pilot.press("exclamation_mark")
        await settle(pilot)
        shown = text(app)
        await pilot.press(*"iso", "tab", "enter")
        await settle(pilot)
        shown += text(app)
        await pilot.press(*"weights leave", "enter")
        for _ in range(200):
            await pilot.pause(0.01)
            if isinstance(app.screen, SignScreen) and app.screen._painted:
                break
        await settle(pilot)
        golden("guarded-ask", shown + text(app))


async def test_the_guard_on_the_overview(golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.open_host("gpu03")
        await settle(pilot)
        golden("guarded-overview", text(app))


async def test_ascii(golden: Golden) -> None:
    app = make_app(engine(), ascii_only=True)
    async with app.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        shown = text(app)
        await pilot.press("R")
        await settle(pilot)
        shown += text(app) + await _sign(app, pilot)
        assert shown.isascii()
        golden("guarded-ascii", shown)


async def test_nothing_is_told_by_colour_alone(golden: Golden) -> None:
    """What NO_COLOR shows is the same text, without one colour."""
    look = Look(theme=ThemeFiles(None).load("mono"))
    made = engine()
    app = make_app(made, look=look)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for key in ("", "R"):
            await pilot.press(*([key] if key else []))
            await settle(pilot)
            name = "requests" if key else "fleet"
            golden(f"guarded-{name}-120x40", text(app))
            for strip in app.screen._compositor.render_strips():
                assert not [each for each in strip if each.style and each.style.color
                            and each.style.color.name != "default"
                            and not each.style.color.is_default]  # fmt: skip
