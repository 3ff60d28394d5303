"""The stock widgets of the library inside the real app, fed with poison: none of it gets out.

Our own screens draw line by line and use hardly any of these. But a widget that somebody adds later
is painted through the same filter, so a mistake with it stays a mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import (
    Button,
    Checkbox,
    Collapsible,
    DataTable,
    Footer,
    Header,
    Input,
    Label,
    Link,
    ListItem,
    ListView,
    Log,
    OptionList,
    RadioButton,
    RadioSet,
    RichLog,
    Select,
    SelectionList,
    Static,
    Tab,
    Tabs,
    TextArea,
    Tree,
)

from console.tui.safe import SCROLLBAR, ScrubFilter
from tests.screens.conftest import acting, make_app, settle, text
from tests.support.attacks import POISONS, Recorder, dangers, hidden
from tests.support.still_engine import StillEngine, view

Sink = Callable[[str], Widget]
MARK = "seen"


def _table(words: str) -> Widget:
    table: DataTable[Text] = DataTable()
    table.add_column(Text(words), width=30)
    table.add_row(Text(words), label=Text(words))
    return table


def _tree(words: str) -> Widget:
    tree: Tree[None] = Tree(Text(words))
    tree.root.add_leaf(Text(words))
    tree.root.expand()
    return tree


def _border(words: str) -> Widget:
    widget = Static(Content(words), classes="framed")
    widget.border_title, widget.border_subtitle = Content(words), Content(words)
    return widget


def _log(words: str) -> Widget:
    log = Log()
    log.call_after_refresh(log.write_line, words)
    return log


def _rich_log(words: str) -> Widget:
    log = RichLog()
    log.call_after_refresh(log.write, words)
    return log


def _select(words: str) -> Widget:
    chosen: Select[int] = Select([(Content(words), 1)], value=1)
    return chosen


SINKS: dict[str, Sink] = {
    "Static": lambda words: Static(Content(words)),
    "Static without markup": lambda words: Static(words, markup=False),
    "Label": lambda words: Label(Content(words)),
    "Button": lambda words: Button(Content(words)),
    "Checkbox": lambda words: Checkbox(Content(words)),
    "RadioSet": lambda words: RadioSet(RadioButton(Content(words))),
    "Tabs": lambda words: Tabs(Tab(Content(words))),
    "Collapsible": lambda words: Collapsible(Static(Content(words)), title=Content(words)),  # type: ignore[arg-type]
    "border title": _border,
    "OptionList": lambda words: OptionList(words, markup=False),
    "OptionList of content": lambda words: OptionList(Content(words)),
    "SelectionList": lambda words: SelectionList((Content(words), 1)),
    "Select": _select,
    "ListView": lambda words: ListView(ListItem(Label(Content(words)))),
    "DataTable": _table,
    "Tree": _tree,
    "RichLog": _rich_log,
    "Log": _log,
    "Input": lambda words: Input(words),
    "Input's placeholder": lambda words: Input(placeholder=words),
    "TextArea": lambda words: TextArea(words),
    "Link": lambda words: Link(words, url="http://evil.example"),
}
"""Each sink of the note, in its safe form: one that does not read the text as markup."""


class Shown(Screen[None]):
    """Shows widgets, one below the other."""

    CSS = "Shown > .sink { height: 5; } .framed { border: solid white; }"

    def __init__(self, *widgets: Widget) -> None:
        super().__init__()
        self.widgets = widgets

    def compose(self) -> ComposeResult:
        for widget in self.widgets:
            widget.add_class("sink")
            yield widget


@pytest.mark.parametrize("sink", SINKS.values(), ids=SINKS.keys())
async def test_no_sequence_gets_out_of_a_stock_widget(sink: Sink, recorded: list[str]) -> None:
    app = make_app(StillEngine(view("a")))
    app.driver_class = Recorder
    async with app.run_test(size=(100, 70), headless=False) as pilot:
        await settle(pilot)
        widgets = [
            sink(f"{number:02}{MARK}{poison}") for number, poison in enumerate(POISONS.values())
        ]
        await app.push_screen(Shown(*widgets))
        await pilot.pause()
        await pilot.pause()
        shown, acts = text(app), acting(app)
        assert app.is_running
    for number, name in enumerate(POISONS):
        assert f"{number:02}{MARK}" in shown, f"{name} was not painted"
    assert not hidden(shown)
    assert not dangers("".join(recorded))
    assert acts <= SCROLLBAR


async def test_no_sequence_gets_out_of_toasts_and_titles(recorded: list[str]) -> None:
    app = make_app(StillEngine(view("a")))
    app.driver_class = Recorder
    async with app.run_test(size=(100, 40), headless=False, notifications=True) as pilot:
        await settle(pilot)
        for name, poison in POISONS.items():
            recorded.clear()
            app.title = app.sub_title = f"{MARK}{poison}{MARK}"
            await app.push_screen(Shown(Header()))
            app.notify(f"{MARK}{poison}{MARK}", title=poison, markup=False)
            for _ in range(3):
                await pilot.pause()
            shown = text(app)
            assert shown.count(MARK) >= 3, f"{name}: title and toast are shown"
            assert not hidden(shown), name
            assert not dangers("".join(recorded)), name
            app.clear_notifications()
            await app.screen.dismiss()
            await pilot.pause()


# -- actions hidden in text

HOSTILE = {
    "click": "[@click=app.write_it()]python train.py[/]",
    "press": "[@mouse.down=app.write_it()]python train.py[/]",
    "release": "[@mouse.up=app.write_it()]python train.py[/]",
}


class Careless(App[None]):
    """A bare app of the library with the mistake: text of a host as a plain string."""

    written = False

    def compose(self) -> ComposeResult:
        yield careless_table("[@click=app.write_it()]x[/]")

    def action_write_it(self) -> None:
        self.written = True


def careless_table(words: str) -> DataTable[str]:
    """The stock table, which reads a plain string as markup."""
    table: DataTable[str] = DataTable(cursor_type="row")
    table.add_column("NAME", width=40)
    for _ in range(5):
        table.add_row(words)
    return table


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
async def test_the_attack_works_without_the_wall(hostile: str) -> None:
    app = Careless()
    app.compose = lambda: iter([careless_table(hostile)])  # type: ignore[method-assign]
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.click(DataTable, offset=(5, 2))
        await pilot.pause()
        assert app.written, "otherwise the next test would prove nothing"


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
async def test_no_hidden_action_survives_the_paint(
    hostile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    app = make_app(StillEngine(view("a")))
    monkeypatch.setattr(app, "action_write_it", lambda: done.append("done"), raising=False)
    async with app.run_test(size=(60, 12)) as pilot:
        await settle(pilot)
        await app.push_screen(Shown(careless_table(hostile)))
        await pilot.pause()
        assert "python train.py" in text(app), "the mistake was made: it was read as markup"
        assert acting(app) <= SCROLLBAR
        for x in range(0, 20, 5):
            await pilot.mouse_down(DataTable, offset=(x, 2))
            await pilot.mouse_up(DataTable, offset=(x, 2))
            await pilot.click(DataTable, offset=(x, 2))
        await pilot.pause()
        assert not done


async def test_a_file_cannot_be_written_by_a_click_on_a_name(tmp_path: Path) -> None:
    """The proof of the note, word by word: a process name that stores a screenshot."""
    name = f"[@click=app.screenshot('pwn.svg','{tmp_path}')]python train.py[/]"
    bare = Careless()
    bare.compose = lambda: iter([careless_table(name)])  # type: ignore[method-assign]
    async with bare.run_test(size=(60, 12)) as pilot:
        await pilot.click(DataTable, offset=(5, 2))
        await pilot.pause()
    written = [*tmp_path.iterdir()]  # noqa: ASYNC240  # nothing else runs
    assert written, "otherwise the rest would prove nothing"
    for path in written:
        path.unlink()
    app = make_app(StillEngine(view("a")))
    async with app.run_test(size=(60, 12)) as pilot:
        await settle(pilot)
        await app.push_screen(Shown(careless_table(name)))
        await pilot.click(DataTable, offset=(5, 2))
        await pilot.pause()
    assert not [*tmp_path.iterdir()]  # noqa: ASYNC240


class Scrolled(Screen[None]):
    """A long list and the stock footer."""

    BINDINGS = [Binding("z", "app.leave", "leave it")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        yield OptionList(*(f"row {number}" for number in range(200)), markup=False)
        yield Footer()


async def test_scroll_bars_and_the_footer_still_take_clicks() -> None:
    app = make_app(StillEngine(view("a")))
    async with app.run_test(size=(60, 12)) as pilot:
        await settle(pilot)
        await app.push_screen(Scrolled())
        await pilot.pause()
        rows = app.screen.query_one(OptionList)
        bar = rows.vertical_scrollbar.region
        await pilot.click(offset=(bar.x, bar.bottom - 1))
        await pilot.pause(0.1)
        await settle_scroll(pilot, rows)
        assert rows.scroll_offset.y > 0, "a click below the grip scrolls down"
        foot = app.screen.query_one(Footer).region
        await pilot.click(offset=(foot.x + 3, foot.y))
        await pilot.pause()
    assert app.return_code == 0
    assert not app.is_running


async def settle_scroll(pilot: Any, rows: Widget) -> None:
    """Let an animated scroll arrive."""
    for _ in range(100):
        if rows.scroll_offset.y:
            return
        await pilot.pause(0.02)


def test_the_filter_keeps_nothing_it_does_not_know() -> None:
    from rich.segment import Segment
    from rich.style import Style
    from textual.color import Color

    for name in ("@click", "@mouse.down", "@mouse.up", "@key", "@hover", "tooltip", "@scroll_up"):
        style = Style(bold=True, meta={name: "app.exit()", "offset": (1, 2)})
        (left,) = ScrubFilter().apply([Segment("x", style)], Color(0, 0, 0))
        assert left.style is not None
        assert left.style.meta == {"offset": (1, 2)}
        assert left.style.bold, "only what acts is dropped"
    for what in ("scroll_down", "grab"):
        style = Style(meta={"@mouse.down": what})
        (left,) = ScrubFilter().apply([Segment("x", style)], Color(0, 0, 0))
        assert left.style is not None
        assert left.style.meta == {"@mouse.down": what}
    linked = Style(link="http://evil.example", color="red")
    (left,) = ScrubFilter().apply([Segment("x", linked)], Color(0, 0, 0))
    assert left.style is not None
    assert left.style.link is None
    assert left.style.color is not None
