"""The screens as text, at three sizes, with clocks that stand still."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from console.model.host import Host, HostState
from console.model.panel import Gauge, Note, Panel, Plot, Row
from console.tui.screens.host import TABS
from tests.screens.conftest import make_app, settle, text
from tests.support.still_engine import StillEngine, gpu, view

NOW = 1_700_000_000.0
SIZES = ((80, 24), (120, 40), (200, 50))
Golden = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(time, "localtime", time.gmtime)


def panels() -> tuple[Panel, ...]:
    """A panel with one of each kind of line, one that is old, and a plugin that stopped."""
    items = (
        Row(label="requests running", value="12"),
        Row(label="requests waiting", value="3", severity="warn"),
        Gauge(label="KV cache", percent=98.4, text="used", severity="bad"),
        Gauge(label="batch", percent=None),
        Plot(label="tokens a second", series="plugin.prometheus.tokens_rate", unit="/s"),
        Plot(label="KV cache", series="plugin.prometheus.cache_pct", unit="%", top=100.0),
        Note(text="vLLM does not say here: latency"),
    )
    title = "model server vLLM at http://127.0.0.1:8000/metrics"
    whole = Panel(host="gpu01", title=title, items=items, plugin="prometheus", at=NOW - 3)
    old = Panel(host="gpu01", title="old", items=(), plugin="slow", at=NOW - 90)
    reason = "stopped: did not answer within 5 s; starts again after 30 s"
    note = Note(text=reason, severity="bad")
    gone = Panel(host="gpu01", title="hangs", items=(note,), plugin="hangs", stopped=reason)
    return whole, old, gone


def engine() -> StillEngine:
    """A small fleet in every state."""
    local = Host(name="desk", address="localhost")
    made = StillEngine(
        view("desk", spec=local, workstation=True, gpus=(), facts={"disk": "encrypted"}),
        view("gpu01"),
        view("gpu02", gpus=(gpu(0, 99.0, last_xid=79), gpu(1, 3.0, lost="GPU is lost"))),
        view("gpu03", gpus=tuple(gpu(n, 50.0) for n in range(16))),
        view("cpu01", gpus=()),
        view("old01", HostState.STALE, reason="no frame for 9 s", frame_at=NOW - 9),
        view("off01", HostState.DOWN, reason="no route to host", frame_at=NOW - 300, fast=None),
        view("new01", HostState.CONNECTING, frame_at=None, fast=None, gpus=()),
        view("key01", HostState.NEW_KEY, reason="another host key: SHA256:xyz", frame_at=None),
        view("ref01", HostState.REFUSED, reason="the host did not accept our key", frame_at=None),
    )
    made.shown_panels = panels()
    made.tell("host.state", "off01", **{"from": "LIVE", "to": "DOWN", "reason": "no route to host"})
    made.tell("auth.failed", "gpu01", "root", user="root", source="203.0.113.7")
    made.tell("kernel.xid", "gpu02", "79", xid=79, pci="0000:1b:00", message="fallen off the bus")
    return made


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_fleet(size: tuple[int, int], golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        golden(f"fleet-{size[0]}x{size[1]}", text(app))


async def test_fleet_ascii(golden: Golden) -> None:
    app = make_app(engine(), ascii_only=True)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        shown = text(app)
        assert shown.isascii()
        golden("fleet-ascii", shown)


async def test_ascii_everywhere() -> None:
    app = make_app(engine(), ascii_only=True)
    async with app.run_test(size=(90, 18)) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        await settle(pilot)
        assert text(app).isascii(), "help, with a scroll bar"
        await pilot.press("escape")
        app.open_host("gpu02")
        await settle(pilot)
        for number in range(len(TABS)):
            await pilot.press(str(number + 1))
            await settle(pilot)
            assert text(app).isascii(), TABS[number]


async def test_no_hosts(golden: Golden) -> None:
    app = make_app(StillEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        golden("fleet-empty", text(app))


@pytest.mark.parametrize("tab", TABS)
async def test_host(tab: str, golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("down", "enter")
        await settle(pilot)
        await pilot.press(str(1 + TABS.index(tab)))
        await settle(pilot)
        golden(f"host-{tab}", text(app))


async def test_help(golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=(100, 40)) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        await settle(pilot)
        golden("help", text(app))


async def test_help_of_a_host(golden: Golden) -> None:
    app = make_app(engine())
    async with app.run_test(size=(100, 60)) as pilot:
        await settle(pilot)
        app.open_host("gpu01")
        await settle(pilot)
        await pilot.press("question_mark")
        await settle(pilot)
        shown = text(app)
        assert "scroll, Esc closes" in shown
        await pilot.press("end")
        await pilot.pause()
        shown += text(app)
        for word in ("DECLARED", "THR", "LABEL", "openers", "ECC pending"):
            assert f" {word} " in shown
        golden("help-host", shown)
