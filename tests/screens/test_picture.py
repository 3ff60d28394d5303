"""Pictures of the screens: nothing in them is fetched, and nothing tells where they were made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from console.tui.takeaway.picture import picture
from tests.screens.conftest import make_app, settle
from tests.support.still_engine import StillEngine, process, view

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted((ROOT / "docs/images").glob("*.svg"))
FETCHED = re.compile(r"@font-face|@import|url\(\s*['\"]?(?!#)|\bhref=['\"](?!#)|<script|<image")
"""Whatever makes a viewer ask somebody else; a reference into the picture itself is none."""


def check(svg: str) -> None:
    assert not FETCHED.search(svg)
    links = set(re.findall(r"https?://[^\s\"'<)]+", svg))
    assert links <= {"http://www.w3.org/2000/svg", "https://www.textualize.io"}
    assert "DejaVu Sans Mono" in svg


async def test_a_picture_fetches_nothing() -> None:
    app = make_app(StillEngine(view("gpu01")))
    async with app.run_test(size=(100, 20)) as pilot:
        await settle(pilot)
        assert FETCHED.search(app.export_screenshot()), (
            "the library's own does, so the test can see"
        )
        svg = picture(app, "fleet")
    check(svg)
    assert "gpu01" in svg
    assert svg.count("<svg ") == 1
    assert '<svg xml:space="preserve"' in svg, "blanks before a text are a part of it"


async def test_what_a_host_says_of_fonts_hides_no_rows() -> None:
    rows = (
        process(1, "aaa", 90.0, cmdline="@font-face{"), process(666, "xmrig", 80.0),
        process(8, "zzz", 60.0, cmdline="} font-family: Fira Code, monospace"),
    )  # fmt: skip
    app = make_app(StillEngine(view("gpu01", processes=rows)))
    async with app.run_test(size=(160, 30)) as pilot:
        await settle(pilot)
        await pilot.press("enter", "3")
        await settle(pilot)
        svg = picture(app, "processes")
    check(svg.replace("@font-face{", ""))
    for words in ("@font-face{", "xmrig", "Fira"):
        assert words in svg, words


def test_readme_shows_a_picture_that_is_there() -> None:
    named = re.findall(r"\(docs/images/([\w.-]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert named
    assert set(named) <= {path.name for path in COMMITTED}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.name)
def test_committed_pictures_fetch_nothing_and_name_no_place(path: Path) -> None:
    svg = path.read_text("utf-8")
    check(svg)
    assert str(ROOT) not in svg
    assert not re.search(r"/root/|/tmp/|/home/(?!wfmon|mara|jonas|svc-deploy)", svg)
    assert "workstation" not in svg
