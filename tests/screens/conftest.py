"""Apps over an engine that stands still, and their screens as text."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

from console.tui.app import ConsoleApp
from console.tui.control.actions import Mode
from console.tui.settings import Settings
from console.tui.style.look import Look
from tests.support.attacks import Recorder
from tests.support.still_engine import StillEngine

GOLDEN = Path(__file__).resolve().parents[1] / "golden/screens"


def text(app: ConsoleApp) -> str:
    """What is on the screen, line by line, without the blanks at the ends."""
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def acting(app: App[Any]) -> set[object]:
    """The actions that a click on what is painted could run, and links."""
    found: set[object] = set()
    for strip in app.screen._compositor.render_strips():
        for segment in strip:
            if segment.style is not None:
                found |= {what for name, what in segment.style.meta.items() if name.startswith("@")}
                found |= {segment.style.link} - {None}
    return found


async def settle(pilot: Pilot[None]) -> None:
    """Wait until the newest picture is drawn and nothing is left to do."""
    app = pilot.app
    assert isinstance(app, ConsoleApp)
    deadline = time.monotonic() + 10
    while not app.settled():
        assert time.monotonic() < deadline, "the screen does not come to rest"
        await pilot.pause()
    await pilot.pause()


def make_app(
    engine: StillEngine,
    *,
    ascii_only: bool = False,
    mode: Mode = Mode.FULL,
    look: Look | None = None,
) -> ConsoleApp:
    """The real app over ``engine``, as it is where hosts are watched."""
    settings = Settings(title="test", mode=mode)
    return ConsoleApp(lambda ask: engine, settings, look=look or Look(ascii_only=ascii_only))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a screen with its snapshot; `--update-golden` writes it instead."""

    def check(name: str, shown: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(shown, encoding="utf-8")
        assert shown == path.read_text(encoding="utf-8"), f"read {path} and see `git diff`"

    return check


@pytest.fixture(autouse=True)
def no_dwell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys count at once: the tests that are about the wait set it."""
    monkeypatch.setattr("console.tui.screens.sign.DWELL_S", 0.0)


@pytest.fixture
def recorded() -> list[str]:
    """Every byte that an app with the driver ``Recorder`` writes."""
    Recorder.written.clear()
    return Recorder.written
