"""Fleet and host at three sizes in every theme and without colours: the same words everywhere.

And a few as SVG, for the look of them.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from console.tui.style.theme_files import ThemeFiles
from console.tui.takeaway.picture import picture
from tests.screens.conftest import GOLDEN, make_app, settle, text
from tests.screens.test_golden import NOW, engine

SIZES = ((80, 24), (120, 40), (200, 60))
THEMES = ("dark", "light", "high-contrast", "mono")


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(time, "localtime", time.gmtime)
    monkeypatch.setenv("COLORTERM", "truecolor")


def compare(path: Path, shown: str, update: bool) -> None:
    if update:
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), f"read {path} and see `git diff --text`"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_theme_says_the_same(
    size: tuple[int, int], theme: str, pytestconfig: pytest.Config
) -> None:
    app = make_app(engine())
    app.look.use(ThemeFiles(None).load(theme))
    update = bool(pytestconfig.getoption("--update-golden"))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        for name, keys in (("fleet", ()), ("host", ("down", "enter"))):
            await pilot.press(*keys)
            await settle(pilot)
            path = GOLDEN / f"themes-{name}-{size[0]}x{size[1]}.txt"
            compare(path, text(app), update and theme == THEMES[0])


@pytest.mark.parametrize(("theme", "tab"), [("dark", ""), ("light", "2"), ("high-contrast", "4")])
async def test_pictures(theme: str, tab: str, pytestconfig: pytest.Config) -> None:
    app = make_app(engine())
    app.look.use(ThemeFiles(None).load(theme))
    async with app.run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        if tab:
            await pilot.press("down", "enter", tab)
            await settle(pilot)
        # The library numbers its styles by a checksum of all of them: no part of the look.
        drawn = re.sub(r"terminal-\d+-", "terminal-", picture(app, theme))
        compare(
            GOLDEN / f"picture-{theme}.svg", drawn, bool(pytestconfig.getoption("--update-golden"))
        )
