"""The drill's roster and policy, what a guard changes on a simulated host, and finding a demo."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from console.demo.drill import PEOPLE, Drill, api_ports, policy, roster
from console.demo.effects import Effects, inside, judged, leaves, ticks, versions
from console.demo.fido import FidoKey
from console.demo.fleet import fleet
from console.demo.running import HOSTS, Note, RunningError, announce, find, hosts, running
from console.demo.signing import DemoSigning
from console.demo.simulate import SimState
from console.demo.stages import KINDS
from console.demo.timeline import Stage, Timeline, stages
from console.errors import ActionError, UsageError
from console.hostside.guard.actions import NAMES, action
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.simulation import SimulatedWorld, facts
from console.hostside.guard.trust import canonical, sshsig
from console.hostside.guard.trust.people import Roster
from console.hostside.guard.trust.policy import Policy
from console.model.guard import Prompt
from console.trust import kept
from console.trust.chain import Chain

RID, OTHER = "a" * 64, "b" * 64
MGMT = {"mgmt": ["10.20.0.0/24"], "confirm_s": 120}


@pytest.fixture
def store() -> SimState:
    host = next(host for host in fleet() if host.name == "store-fra-1")
    return SimState(host, 1, lambda: 1_000.0)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "watchfloor"


def doc(*active: tuple[str, str, dict[str, Any]], closed: tuple[Any, ...] = ()) -> dict[str, Any]:
    """A state document with these entries: id, action, parameters."""
    return {
        "active": [
            {"id": rid, "action": name, "params": params, "state": "STANDING", "holds": True}
            for rid, name, params in active
        ],
        "closed": [
            {"id": rid, "action": name, "params": params, "state": "DONE"}
            for rid, name, params in closed
        ],
    }


def test_roster_and_policy_keep_every_rule_of_the_guard() -> None:
    lines = {name: FidoKey(name.encode().ljust(32)).public_line for name in PEOPLE}
    people = Roster(canonical.write(roster(lines)))
    rules = Policy(canonical.write(policy(fleet())))
    rules.check([action(name) for name in NAMES])
    assert people.may("alice", "request", "isolate")
    assert people.may("bob", "approve", "isolate")
    assert people.may("alice", "break", "isolate")
    assert not people.may("bob", "break", "isolate")
    assert not people.may("carol", "approve", "isolate")
    assert people.may("carol", "approve", "install-roster")
    assert rules.rule(action("isolate")).people == 2
    assert 8000 in api_ports(fleet())
    assert 22 not in api_ports(fleet())


def test_the_drill_makes_keys_that_only_this_person_may_read(tmp_path: Path) -> None:
    drill = Drill(tmp_path, fleet())
    assert sorted(drill.logins.values()) == sorted(PEOPLE)
    found = [path for path in (tmp_path / "people").rglob("*") if path.is_file()]
    assert len(found) == 3 * len(PEOPLE)
    assert all(not path.stat().st_mode & 0o077 for path in found)
    assert kept.load(Chain(tmp_path / "trust")).policy.data == drill.policy


def test_a_key_of_the_demo_shows_a_touch_and_counts_up(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.write_bytes(b"s" * 32)
    seen: list[str] = []

    async def ask(prompt: Prompt) -> str | None:
        seen.append(prompt.kind)
        await asyncio.Event().wait()
        return None

    async def given_up(prompt: Prompt) -> str | None:
        return None

    async def both() -> list[int]:
        signing = DemoSigning(seed, 0.01)
        texts = [await signing.sign("request-v1@watchfloor", b"x", ask) for _ in range(3)]
        with pytest.raises(ActionError, match="nothing was signed"):
            await signing.sign("request-v1@watchfloor", b"x", given_up)
        return [sshsig.parse(text).counter for text in texts]

    counters = asyncio.run(both())
    assert seen == ["touch"] * 3
    assert counters == sorted(set(counters))
    with pytest.raises(ActionError, match="the demo's key is not there"):
        assert DemoSigning(tmp_path / "none").blob


def test_an_isolated_host_keeps_its_listeners_and_the_operators_way_in(store: SimState) -> None:
    effects = Effects(store)
    before = {name: dict(rows) for name, rows in store.tables.items()}
    copying = KINDS["egress"](store, None, stages()[-1].params)  # type: ignore[arg-type]
    assert copying is not None
    next(copying)
    ends, stays = leaves(store, MGMT["mgmt"])  # type: ignore[arg-type]
    assert len(ends) == 2
    assert len(stays) == 1
    loud = store.fast(1.0).tx_bps or 0
    assert effects.follow(doc((RID, "isolate", MGMT)))
    assert [row.port for row in store.tables["flows"].values()] == [22]
    assert store.tables["listen"] == before["listen"]
    assert next(copying, True) is True
    assert loud > 5e8 > 1e4 > (store.fast(1.0).tx_bps or 0)
    assert not effects.follow(doc((RID, "isolate", MGMT)))
    assert effects.follow(doc())
    assert store.tables["flows"].keys() == before["flows"].keys()
    assert (store.bars, store.isolated) == ({}, set())


def test_the_attacker_does_nothing_more_on_an_isolated_host(store: SimState) -> None:
    Effects(store).follow(doc((RID, "isolate", MGMT)))
    told: list[str] = []
    script = [stage for stage in stages() if stage.host == store.host.name]
    quiet = Stage(id="quiet", at=1, host=store.host.name, kind="silence")

    class Door:
        def hush(self) -> None: ...
        def vanish(self) -> None: ...
        def change_key(self) -> None: ...

    line = Timeline((quiet, *script), {store.host.name: store}, {store.host.name: Door()},
                    lambda stage: told.append(stage.id))  # fmt: skip
    line.advance(200)
    assert line.done
    assert told == ["quiet"]
    assert not store.tables["openers"]


def test_a_blocked_source_and_closed_ports_end_only_their_flows(store: SimState) -> None:
    effects = Effects(store)
    usual = set(store.tables["flows"])
    effects.follow(doc((RID, "block-source", {"source": "10.20.1.0/24"})))
    left = {row.peer for row in store.tables["flows"].values()}
    assert left == {"10.20.0.10"}
    both = doc(
        (RID, "block-source", {"source": "10.20.1.0/24"}),
        (OTHER, "disconnect-inbound", {"ports": [9000]}),
    )
    effects.follow(both)
    effects.follow(doc((OTHER, "disconnect-inbound", {"ports": [9000]})))
    assert {row.peer for row in store.tables["flows"].values()} == left  # the port is still closed
    effects.follow(doc())
    assert not store.bars
    assert set(store.tables["flows"]) <= usual


def test_a_stopped_service_is_gone_with_all_it_holds_and_comes_back() -> None:
    host = next(host for host in fleet() if host.name == "h100-fra-1")
    state = SimState(host, 1, lambda: 1_000.0)
    effects = Effects(state)
    before = {name: set(state.tables[name]) for name in ("procs", "listen", "flows", "gpuprocs")}
    effects.follow(doc((RID, "stop-service", {"service": "vllm-llama-70b.service"})))
    assert not state.tables["gpuprocs"]
    assert "tcp/0.0.0.0:8000" not in state.tables["listen"]
    state.advance(20)
    assert all(gpu.fast().util_pct == 0 for gpu in state.gpus)
    effects.follow(doc())
    assert before == {name: set(state.tables[name]) for name in before}
    state.advance(40)
    assert (state.gpus[0].fast().util_pct or 0) > 20


def test_a_killed_process_is_gone_for_good_and_killed_once(store: SimState) -> None:
    effects = Effects(store)
    pid = next(int(row.pid) for row in store.tables["procs"].values() if row.name == "minio")
    start, exe, why = judged(store)[str(pid)]
    assert (start, why) == (6_100, "")
    other = ((OTHER, "kill-process", {"pid": pid, "start_time": start + 1, "exe": exe}),)
    effects.follow(doc(closed=other))
    assert pid in store.tables["procs"]  # another that had its number
    ended = ((RID, "kill-process", {"pid": pid, "start_time": start, "exe": exe}),)
    assert effects.follow(doc(closed=ended))
    assert pid not in store.tables["procs"]
    assert all(row.pid != pid for row in store.tables["listen"].values())
    assert not effects.follow(doc(closed=ended))


def simulated(state: SimState, folder: Path) -> SimulatedWorld:
    """A guard's view of that host, as the demo tells it."""
    world = SimulatedWorld(Place(str(folder)))
    path = Path(f"{world.place.state}/simulated.json")
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_text(json.dumps({"processes": judged(state), "models": versions(state)}))
    path.chmod(0o600)
    return world


def test_a_simulated_guard_ends_no_other_process_than_the_named_one(
    store: SimState, tmp_path: Path
) -> None:
    world = simulated(store, tmp_path)
    row = next(row for row in store.tables["procs"].values() if row.name == "minio")
    wanted = {"pid": row.pid, "start_time": ticks(store, row), "exe": row.exe}
    kill = action("kill-process")
    assert facts(kill, wanted, world) == {}
    with pytest.raises(Refused, match="not there") as refused:
        facts(kill, {**wanted, "start_time": 100}, world)
    assert "6100 ticks" in refused.value.hint
    with pytest.raises(Refused, match="not there"):
        facts(kill, {**wanted, "pid": 4_000_000}, world)
    # As on a host: what it runs now is said to whoever signs.
    assert facts(kill, {**wanted, "exe": "/bin/other"}, world) == {"exe": row.exe}
    door = next(row for row in store.tables["procs"].values() if row.name == "sshd")
    with pytest.raises(Refused, match="never ended"):
        facts(kill, {"pid": door.pid, "start_time": ticks(store, door), "exe": door.exe}, world)


@pytest.mark.parametrize(
    ("name", "model", "version"),
    [
        ("h100-fra-1", "llama-3.1-70b-instruct", "2024-11-02"),
        ("l40s-fra-1", "bge-m3", "2024-07-03"),
    ],
)
def test_a_model_is_rolled_back_and_is_another_one_after_that(
    name: str, model: str, version: str, tmp_path: Path
) -> None:
    host = next(host for host in fleet() if host.name == name)
    state = SimState(host, 1, lambda: 1_000.0)
    world = simulated(state, tmp_path)
    back = action("rollback-model")
    wanted = {"model": model, "to": f"{version}-rc1"}
    found = facts(back, wanted, world)
    assert (found["from"], found["served"]) == (version, True)
    plan = back.render(wanted, found, policy(fleet()))
    kinds = [step["kind"] for step in plan["steps"]]
    assert kinds == ["space", "verify", "link", "health", "verify"]
    for wrong in ({"model": "gpt", "to": "1"}, {"model": model, "to": "1"}):
        with pytest.raises(Refused, match=r"no model|no version"):
            facts(back, wrong, world)
    assert Effects(state).follow(doc(closed=((RID, "rollback-model", wanted),)))
    assert versions(state)[model]["current"] == f"{version}-rc1"
    # It can be taken away, with its service, and comes back as it was.
    away = {"model": model, "version": f"{version}-rc1"}
    before = {name: set(rows) for name, rows in state.tables.items()}
    effects = Effects(state)
    assert effects.follow(doc((OTHER, "quarantine-model", away)))
    assert set(versions(state)[model]["versions"]) == {version}
    assert len(state.tables["procs"]) < len(before["procs"])
    assert effects.follow(doc())
    assert {name: set(rows) for name, rows in state.tables.items()} == before


@pytest.mark.parametrize(
    ("address", "networks", "within"),
    [
        ("10.20.0.10", ["10.20.0.0/24"], True),
        ("198.51.100.0/24", ["198.51.0.0/16"], True),
        ("10.20.1.1", ["10.20.0.0/24", "127.0.0.0/8"], False),
        ("::1", ["127.0.0.0/8"], False),
        ("nowhere", ["0.0.0.0/1"], False),
    ],
)
def test_what_lies_in_a_network(address: str, networks: list[str], within: bool) -> None:
    assert inside(address, networks) is within


def test_a_running_demo_is_found_and_a_dead_one_forgotten(runtime: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no demo of yours runs"):
        find()
    place = tmp_path / "demo"
    place.mkdir(mode=0o700)
    (place / HOSTS).write_text("[]")
    note = Note(pid=os.getpid(), folder=str(place))
    path = announce(note)
    assert path.stat().st_mode & 0o777 == 0o600
    assert find() == note
    assert hosts(note) == ()
    dead = runtime / "demo-1.json"
    dead.write_text(json.dumps({"pid": 2**22 + 1, "folder": str(place)}))
    (runtime / "demo-2.json").write_text("{")
    assert running() == [note]
    assert not dead.exists()
    other = announce(Note(pid=os.getppid(), folder=str(place)))
    with pytest.raises(UsageError, match=r"several demos run: .*\d+, \d+"):
        find()
    assert find(os.getpid()) == note
    other.unlink()
    (place / HOSTS).unlink()
    with pytest.raises(UsageError, match="just ended"):
        hosts(note)


def test_a_folder_of_notes_that_others_may_enter_is_refused(runtime: Path) -> None:
    runtime.mkdir()
    runtime.chmod(0o755)
    with pytest.raises(RunningError, match="only you may enter"):
        find()
    runtime.rmdir()
    runtime.symlink_to(runtime.parent)
    with pytest.raises(RunningError, match="only you may enter"):
        find()
