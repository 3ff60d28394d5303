"""Cases of ``test_actions`` for plots, the heat map and the wall board."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from console.tui.control.trail import Place
from console.tui.screens.heat import HeatScreen
from console.tui.screens.host import HostScreen
from console.tui.screens.plot import PlotScreen
from console.tui.screens.wall import WallScreen

if TYPE_CHECKING:
    from tests.screens.test_actions import Hand

CASES: dict[str, Callable[[Hand], Awaitable[None]]] = {}


def _plot(hand: Hand) -> PlotScreen:
    assert isinstance(hand.app.screen, PlotScreen)
    return hand.app.screen


def _heat(hand: Hand) -> HeatScreen:
    assert isinstance(hand.app.screen, HeatScreen)
    return hand.app.screen


async def _open_plot(hand: Hand) -> None:
    await hand.press("down")
    await hand.do("app.plot")
    assert _plot(hand).hosts == ("gpu02",)
    assert _plot(hand).number == "gpu_util_pct"
    await hand.press("escape")
    await hand.type("sort cpu")
    await hand.do("app.plot")
    assert _plot(hand).number == "cpu_pct", "of the sorted column"
    await hand.type("plot gpu.0.temp_c gpu0[1-3]")
    assert _plot(hand).hosts == ("gpu01", "gpu02", "gpu03")
    assert "GPU 0 temperature" in hand.shown
    await hand.type("plot egress gpu01")
    assert _plot(hand).number == "tx_bps", "called as its column"
    await hand.type("plot nonsense gpu01")
    assert "no number is called nonsense" in hand.shown
    await hand.type("plot cpu_pct nowhere")
    assert "no host fits nowhere" in hand.shown


async def _numbers(hand: Hand) -> None:
    await hand.do("app.plot")
    first = _plot(hand).number
    await hand.do("plot.next-number")
    assert _plot(hand).number == "tx_bps"
    await hand.do("plot.previous-number")
    assert _plot(hand).number == first


async def _ranges(hand: Hand) -> None:
    await hand.do("app.plot")
    assert "the last 10 minutes" in hand.shown
    await hand.do("plot.longer")
    assert "the last hour" in hand.shown
    for _ in range(5):
        await hand.do("plot.longer")
    assert "the last 7 days" in hand.shown
    await hand.do("plot.shorter")
    assert "the last 24 hours" in hand.shown


async def _ruler(hand: Hand) -> None:
    await hand.do("app.plot")
    assert " AT " not in hand.shown
    await hand.do("plot.cursor-left")
    near = hand.shown
    assert " AT " in near
    await hand.do("plot.cursor-far-left")
    far = hand.shown
    assert far != near
    await hand.do("plot.cursor-far-right")
    await hand.do("plot.cursor-right")
    assert _at(hand.shown) >= _at(near)
    await hand.do("plot.back")
    assert " AT " not in hand.shown, "first the ruler goes"
    await hand.do("plot.back")
    assert hand.app.screen is hand.fleet


def _at(shown: str) -> str:
    return shown.partition(" AT ")[2].partition(" UTC")[0]


async def _open_heat(hand: Hand) -> None:
    await hand.do("app.heat")
    assert "120 GPUs of 60 hosts" in hand.shown
    await hand.do("heat.back")
    assert hand.app.screen is hand.fleet
    await hand.type("heat temp")
    assert _heat(hand).number == "temp"
    await hand.type("heat nonsense")
    assert "no heat map of nonsense" in hand.shown
    await hand.do("heat.number")
    assert _heat(hand).number == "power"


async def _heat_moves(hand: Hand) -> None:
    await hand.do("app.heat")
    screen = _heat(hand)
    assert screen.map.cursor == "gpu01"
    await hand.do("heat.right")
    assert screen.map.cursor == "gpu02"
    await hand.do("heat.left")
    await hand.do("heat.left")
    assert screen.map.cursor == "gpu01"
    await hand.do("heat.down")
    below = screen.map.cursor
    assert below == f"gpu{1 + screen.map.layout_of.across:02}"
    await hand.do("heat.up")
    assert screen.map.cursor == "gpu01"
    await hand.do("heat.last")
    assert screen.map.cursor == "gpu60"
    await hand.do("heat.first")
    assert screen.map.cursor == "gpu01"
    await hand.do("heat.page-down")
    assert screen.map.cursor > below
    await hand.do("heat.page-up")
    assert screen.map.cursor == "gpu01"


async def _heat_opens(hand: Hand) -> None:
    await hand.do("app.heat")
    await hand.do("heat.right")
    await hand.do("heat.open")
    assert isinstance(hand.app.screen, HostScreen)
    assert hand.app.screen.host == "gpu02"
    await hand.press("escape")
    assert isinstance(hand.app.screen, HeatScreen)


async def _leave_wall(hand: Hand) -> None:
    hand.app.go(Place("wall"))
    await hand.pilot.pause()
    assert isinstance(hand.app.screen, WallScreen)
    await hand.pilot.press("q")
    await hand.pilot.pause()
    assert not hand.app.is_running or hand.app._exit


for _ids, _case in (
    ("app.plot", _open_plot),
    ("plot.next-number plot.previous-number", _numbers),
    ("plot.longer plot.shorter", _ranges),
    (
        "plot.back plot.cursor-left plot.cursor-right plot.cursor-far-left plot.cursor-far-right",
        _ruler,
    ),
    ("app.heat heat.back heat.number", _open_heat),
    (
        "heat.left heat.right heat.up heat.down heat.page-up heat.page-down heat.first heat.last",
        _heat_moves,
    ),
    ("heat.open", _heat_opens),
    ("wall.leave", _leave_wall),
):
    CASES |= dict.fromkeys(_ids.split(), _case)
