"""What somebody should look at: new processes on GPUs and listeners that nobody declared."""

from __future__ import annotations

import msgspec
import pytest

from console.model.event import Event
from console.model.host import HostState
from console.model.tables import Account, GpuProcess
from console.model.view import HostView
from console.tui.meaning import facts
from console.tui.meaning.newcomers import MOST, Newcomers
from console.tui.screens.gpu_page import gpus
from console.tui.screens.host import HEADS, HostScreen
from console.tui.screens.host_sections import pressed
from console.tui.style.look import Look
from tests.screens.conftest import make_app, settle, text
from tests.support.still_engine import StillEngine, gpu, listener, process, view


def miner(index: int) -> GpuProcess:
    return GpuProcess(
        key=f"{index}/666/compute", gpu=index, pid=666, kind="compute", name="miner", user="svc",
        mem_mib=1_420.0,
    )  # fmt: skip


def mined(*gpus: int) -> HostView:
    held = view("a", listeners=(listener(22),))
    rows = (*held.gpu_processes, *(miner(index) for index in gpus))
    return msgspec.structs.replace(held, gpu_processes=rows)


def told(index: int, host: str = "a") -> Event:
    return Event(kind="gpu.process.new", host=host, at=1.0, key=f"{index}/666/compute")


def test_a_new_process_counts_while_it_is_there() -> None:
    new = Newcomers()
    new.see([told(6), told(5), told(1, "other")])
    assert [row.gpu for row in new.of(mined(5, 6))] == [5, 6]
    assert not new.of(mined())
    assert facts.trouble(mined(6, 5), new.of(mined(6, 5))) == (4, "warn", "GPU5,6 new miner")


def test_no_more_keys_are_remembered_than_the_bound() -> None:
    new = Newcomers()
    new.see(told(index) for index in range(MOST + 1))
    assert [row.gpu for row in new.of(mined(0, 1, MOST))] == [1, MOST]


def test_faults_come_before_new_processes_and_these_before_listeners() -> None:
    odd = view("a")
    assert facts.trouble(odd) == (2, "warn", "1 undeclared")
    assert facts.trouble(odd, [miner(5)])[2] == "GPU5 new miner"
    for fault in (
        {"lost": "GPU is lost"}, {"last_xid": 79}, {"ecc_uncorrected_volatile": 1},
        {"remap_pending": 1}, {"throttle": 0x40}, {"ecc_uncorrected": 1},
    ):  # fmt: skip
        sick = msgspec.structs.replace(odd, gpus=(gpu(0, 1.0, **fault),))
        assert facts.trouble(sick, [miner(5)])[2].startswith("GPU0 "), fault
    slow = msgspec.structs.replace(odd, gpus=(gpu(0, 1.0, throttle=0x04),))
    assert facts.trouble(slow)[2] == "1 undeclared"


async def test_both_screens_name_them() -> None:
    engine = StillEngine(mined(5, 6), view("b"))
    app = make_app(engine)
    async with app.run_test(size=(140, 40)) as pilot:
        await settle(pilot)
        for index in (5, 6):
            engine.tell("gpu.process.new", "a", f"{index}/666/compute", gpu=index, pid=666)
        engine.show(mined(5, 6), view("b"))
        await settle(pilot)
        assert "▲ GPU5,6 new miner" in text(app)
        assert "▲ 1 undeclared" in text(app)
        await pilot.press("slash", *"worst>2", "enter")
        assert app._fleet.table.model.order == ["a"]
        await pilot.press("enter")
        await settle(pilot)
        assert "new on GPU5,6 since this console began: miner (pid 666, svc)" in text(app)
        app.open_host("b")
        await settle(pilot)
        assert "listener not declared: tcp/0.0.0.0:4444, nc (pid 100)" in text(app)


async def test_states_are_sorted_by_how_bad_they_are() -> None:
    app = make_app(StillEngine(*(view(state.value.lower(), state) for state in HostState)))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("s", "s")
        assert app._fleet.table.model.sort == "state"
        assert app._fleet.table.model.order == [
            "new-key", "refused", "down", "stale", "connecting", "live",
        ]  # fmt: skip
        await pilot.press("slash", *"state=down", "enter")
        assert app._fleet.table.model.order == ["down"]


async def test_listeners_name_their_user() -> None:
    known = view(
        "a",
        listeners=(
            listener(1, uid=1000), listener(2, uid=1001), listener(3, uid=1002),
        ),
        processes=(process(9, "x", uid=1000, user="mara"),),
        accounts=(Account("jonas", 1001, 1001, "/home/jonas", "/bin/sh", ""),),
    )  # fmt: skip
    app = make_app(StillEngine(known))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app.open_host("a")
        await settle(pilot)
        await pilot.press("4")
        shown = text(app)
        for user in ("mara", "jonas", "1002"):
            assert f" {user} " in shown
        await pilot.press("slash", *"user=jonas declared=no", "enter")
        assert app.screen.table.model.order == ["tcp/0.0.0.0:2"]  # type: ignore[attr-defined]


async def test_tabs_and_sections_react_to_the_mouse() -> None:
    app = make_app(StillEngine(view("a")))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        app.open_host("a")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, HostScreen)
        await pilot.click("#tabs", offset=(len("".join(HEADS[:3])) + 2, 0))
        assert screen.tab == "network"
        await pilot.click("#section", offset=(16, 0))
        assert "PEER" in text(app)
        await pilot.click("#tabs", offset=(100, 0))
        assert screen.tab == "network", "beside the tabs is nothing"


@pytest.mark.parametrize(("x", "index"), [(-1, None), (0, 0), (2, 0), (3, 1), (4, 1), (5, None)])
def test_a_cell_belongs_to_one_word(x: int, index: int | None) -> None:
    assert pressed(("abc", "de"), x) == index


def page(host: HostView) -> str:
    return "\n".join("".join(words for words, _ in cells) for cells in gpus(host, Look(), 120))


def test_the_share_of_multiprocessors_is_a_column_where_it_is_known() -> None:
    assert "SM" not in page(mined(5))
    known = msgspec.structs.replace(
        view("a"), gpu_processes=(msgspec.structs.replace(miner(5), sm_pct=87.0), miner(6))
    )
    shown = page(known)
    assert "MEMORY   SM" in shown
    assert "1.4G  87%  666" in shown
    assert "1.4G    -  666" in shown


def test_facts_of_a_gpu_tell_fabric_certificate_and_only_a_pending_change() -> None:
    one = gpu(0, 1.0)
    static = msgspec.structs.replace(
        one.static, fabric="ready", fabric_clique=3, cc_certificate="ab" * 32, ecc_mode=True,
        ecc_pending=True, mig_mode=False, mig_pending=True,
    )  # fmt: skip
    shown = page(view("a", gpus=(msgspec.structs.replace(one, static=static),)))
    for words in ("fabric clique", "CC certificate", "ab" * 32, "ready", "MIG pending"):
        assert words in shown
    assert "ECC pending" not in shown
    changed = msgspec.structs.replace(static, ecc_pending=False)
    shown = page(view("a", gpus=(msgspec.structs.replace(one, static=changed),)))
    assert "ECC pending" in shown
