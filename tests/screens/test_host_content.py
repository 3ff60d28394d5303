"""What the screen of one host says: who uses what, what is new, since when a host is silent."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from console.model.host import HostState
from console.model.inventory import DigestFacts, HardwareFacts, Inventory, NicFacts
from console.model.tables import Container, Flow, GpuProcess
from console.tui.meaning import facts
from console.tui.meaning.newcomers import Newcomers
from console.tui.screens.host import HostScreen
from console.tui.screens.host_pages import inventory_facts
from console.tui.screens.network_tables import firewall, heard, peers
from console.tui.screens.process_table import ProcessTable, gpu_indexes, gpu_memory, unit_of
from console.tui.style.look import Look
from tests.screens.conftest import make_app, settle, text
from tests.support.still_engine import StillEngine, gpu, listener, process, view


def holds(gpu: int, pid: int, mib: float | None, **more: Any) -> GpuProcess:
    kind = more.pop("kind", "compute")
    fields: dict[str, Any] = {"name": f"p{pid}", "user": "svc", **more}
    return GpuProcess(key=f"{gpu}/{pid}/{kind}", gpu=gpu, pid=pid, kind=kind, mem_mib=mib, **fields)


def words(lines: Any) -> str:
    return "\n".join("".join(part for part, _ in line) for line in lines)


def test_memory_of_gpus_is_summed_over_gpus_and_not_over_kinds() -> None:
    rows = (
        holds(0, 7, 100.0), holds(0, 7, 100.0, kind="graphics"), holds(1, 7, 50.0),
        holds(3, 7, None), holds(2, 8, 9e9, reliable=False),
    )  # fmt: skip
    assert gpu_memory(rows) == {7: 150.0}
    assert gpu_indexes(rows) == {7: "0-1,3", 8: "2"}


def test_the_unit_of_a_process() -> None:
    assert unit_of("/system.slice/vllm.service") == "vllm.service"
    assert unit_of("/user.slice/user-1.slice/session-4.scope/x") == "session-4.scope"
    assert unit_of("/kubepods/pod1") == "pod1"
    assert unit_of("") == ""


async def test_processes_are_found_by_gpu_memory_and_by_container() -> None:
    rows = (process(1, "systemd"), process(2, "small"), process(3, "big", container="c" * 12))
    known = view(
        "a", processes=rows, gpu_processes=(holds(0, 2, 500.0), holds(1, 3, 70_000.0)),
        containers=(Container("c" * 64, "llama", "vllm:1", "", "docker", "running"),),
    )  # fmt: skip
    app = make_app(StillEngine(known))
    async with app.run_test(size=(160, 30)) as pilot:
        await settle(pilot)
        app.open_host("a", "processes")
        await settle(pilot)
        screen = app.screen
        assert isinstance(screen, HostScreen)
        assert screen.table is not None
        screen.table.model.sort_by("gpu_mem", down=True, now=time.monotonic())
        assert screen.table.model.order == [3, 2, 1]
        await pilot.press("slash", *"llama", "enter")
        assert screen.table.model.order == [3]
        await pilot.press("escape", "slash", *"gpumem>1G", "enter")
        assert screen.table.model.order == [3]
        assert " 68G " in text(app)


async def test_the_tree_keeps_the_parents_of_what_the_filter_finds() -> None:
    rows = (process(1, "systemd", ppid=0), process(2, "shell"), process(3, "miner", ppid=2))
    app = make_app(StillEngine(view("a", processes=rows)))
    async with app.run_test(size=(160, 30)) as pilot:
        await settle(pilot)
        app.open_host("a", "processes")
        await settle(pilot)
        await pilot.press("t", "slash", *"miner", "enter")
        screen = app.screen
        assert isinstance(screen, HostScreen)
        assert screen.table is not None
        assert screen.table.model.order == [1, 2, 3]
        await pilot.press("t")
        assert screen.table.model.order == [3]


def test_undeclared_listeners_come_first_and_the_newest_of_them_before_the_others() -> None:
    from console.tui.screens.network_tables import listeners

    now = time.time()
    new = Newcomers()
    for port, age in ((4444, 500.0), (5555, 60.0)):
        new.see([_opened("a", f"tcp/0.0.0.0:{port}", now - age)])
    ears = [listener(port, pid=port) for port in (22, 4444, 5555, 6666)]
    host = view("a", listeners=tuple(ears), processes=(process(22, "sshd", started=now - 9_000),))
    section = listeners(new)
    rank = next(column.order for column in section.columns if column.id == section.sort)
    assert rank is not None
    rows = sorted(heard(host, new), key=lambda row: rank(row) or 0.0)
    assert [row.port for row in rows] == [5555, 4444, 6666, 22]
    since = next(column for column in section.columns if column.id == "since")
    shown = {row.port: words([since.cell(row, Look())]) for row in rows}
    assert shown == {5555: "60s", 4444: "8m", 6666: "before", 22: "<2h"}


def _opened(host: str, key: str, at: float) -> Any:
    from console.model.event import Event

    return Event(kind="listener.new", host=host, at=at, key=key)


def test_a_listener_that_went_is_forgotten() -> None:
    new = Newcomers()
    event = _opened("a", "tcp/0.0.0.0:1", 5.0)
    new.see([event])
    assert new.opened("a") == {"tcp/0.0.0.0:1": 5.0}
    new.see([msgspec.structs.replace(event, kind="listener.gone")])
    assert new.opened("a") == {}


def test_a_peer_is_everything_that_is_said_with_it() -> None:
    def flow(key: str, direction: str, peer: str, port: int, **more: Any) -> Flow:
        fields: dict[str, Any] = {"uid": 0, "pid": 1, "name": "x", "count": 2, "tx_bytes": 10,
                                  "rx_bytes": 20, "tx_bps": 1.0, "rx_bps": 2.0}  # fmt: skip
        return Flow(key=key, direction=direction, peer=peer, port=port, **(fields | more))

    one, other = peers([
        flow("a", "in", "p", 22), flow("b", "out", "p", 443, name=None), flow("c", "in", "q", 1),
    ])  # fmt: skip
    assert (one.peer, one.direction, one.ports, one.names) == ("p", "both", "22,443", "?,x")
    assert (one.count, one.tx_bytes, one.rx_bytes, one.tx_bps, one.rx_bps) == (4, 20, 40, 2.0, 4.0)
    assert (other.peer, other.direction) == ("q", "in")


def test_the_firewall_in_a_line() -> None:
    shut = view("a", inventory=Inventory(digests=DigestFacts()), denied={"digests.firewall": "CAP"})
    assert "not visible: needs CAP" in words([firewall(shut)])
    facts_ = DigestFacts(firewall="ab" * 32, firewall_rules=37, firewall_backend="nft")
    assert "nft, 37 rules, sha256 abab" in words(
        [firewall(view("a", inventory=Inventory(digests=facts_)))]
    )
    assert "none is known" in words([firewall(view("a"))])


def test_the_busiest_gpu_and_its_biggest_process() -> None:
    rows = (holds(3, 5, 10.0), holds(3, 6, 70_000.0), holds(1, 7, 80_000.0), holds(3, 8, None))
    host = view("a", gpus=(gpu(1, 50.0), gpu(3, 99.0)), gpu_processes=rows)
    assert facts.busiest(host) == "3 at 99%, biggest process p6 pid 6 svc, 68G"
    assert facts.busiest(view("a", gpus=())) is None


async def test_a_silent_host_says_since_when_on_every_tab() -> None:
    gone = view("a", HostState.DOWN, reason="no route", frame_at=time.time() - 300)
    app = make_app(StillEngine(gone))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.open_host("a")
        await settle(pilot)
        shown = text(app)
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 300))
        assert f"silent since {day}" in shown
        assert "UTC" in shown
        assert "5m ago" in shown
        assert "as last seen" in shown
        for tab in "2345":
            await pilot.press(tab)
            await settle(pilot)
            assert "5m ago: the host is DOWN" in text(app), tab


async def test_a_host_that_is_no_longer_watched_is_named_and_nothing_breaks() -> None:
    engine = StillEngine(view("a"), view("b"))
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.open_host("a", "processes")
        await settle(pilot)
        engine.show(view("b"))
        await settle(pilot)
        assert "a  is no longer watched" in text(app)
        assert "a left the list of hosts" in text(app)
        for key in ("1", "2", "3", "t", "4", "n", "enter", "escape", "5", "6"):
            await pilot.press(key)
            await settle(pilot)
        assert "is no longer watched" in text(app)
        await pilot.press("r")
        await settle(pilot)
        assert "nothing to connect to" in text(app)
        assert ("retry", "a") not in engine.asked
        engine.show(view("a"), view("b"))
        await settle(pilot)
        assert "no longer watched" not in text(app)


async def test_the_details_of_a_listener_and_of_what_has_gone() -> None:
    known = view("a", listeners=(listener(22, pid=7), listener(4444, pid=99, name="nc")))
    engine = StillEngine(known)
    app = make_app(engine)
    async with app.run_test(size=(120, 50)) as pilot:
        await settle(pilot)
        app.open_host("a", "network")
        await settle(pilot)
        await pilot.press("end", "enter")
        await settle(pilot)
        assert "listener tcp/0.0.0.0:22" in text(app)
        assert "its program: process 7 vllm" in text(app)
        engine.show(msgspec.structs.replace(known, listeners=()))
        await settle(pilot)
        assert "is no longer there" in text(app)
        await pilot.press("escape")
        await settle(pilot)
        assert "nothing listens" in text(app)


async def test_the_details_of_an_event() -> None:
    engine = StillEngine(view("a"))
    engine.tell("kernel.xid", "a", "79", xid=79, pci="0000:1b:00", message="fallen off the bus")
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.open_host("a", "events")
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        shown = text(app)
        assert "event kernel.xid" in shown
        assert "0000:1b:00" in shown
        assert "2023-11-14 22:13:21 UTC" in shown


def test_versions_of_firmware_stand_together_and_tell_when_gpus_differ() -> None:
    one, other = gpu(0, 1.0), gpu(1, 1.0)
    one = msgspec.structs.replace(one, static=msgspec.structs.replace(one.static, vbios="96.00"))
    other = msgspec.structs.replace(
        other, static=msgspec.structs.replace(other.static, vbios="97.00")
    )
    inventory = Inventory(
        hardware=HardwareFacts(bios_vendor="AMI", bios_version="1.1.3", bmc="24.01"),
        nics=(NicFacts(name="ib0", firmware="28.39", driver="mlx5_core"),),
    )
    lines = inventory_facts(view("a", gpus=(one, other), inventory=inventory), Look())
    shown = words(lines)
    for part in ("AMI 1.1.3", "24.01", "96.00  (GPU 0)", "97.00  (GPU 1)", "28.39"):
        assert part in shown
    assert any(("96.00  (GPU 0)", "warn") in line for line in lines)


def test_five_thousand_processes_are_joined_once_for_the_same_picture() -> None:
    rows = tuple(process(pid, f"p{pid}", ppid=pid // 3) for pid in range(1, 5_001))
    host = view("a", processes=rows)
    table = ProcessTable()
    assert table.section.rows(host) is rows
    before = table._parents
    table.section.rows(msgspec.structs.replace(host, fast=None))
    assert table._parents is before
