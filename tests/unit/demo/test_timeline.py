"""The incident: its data file is sound, and each stage does what it says."""

from pathlib import Path

import pytest

from console.demo.fleet import fleet
from console.demo.simulate import SimState
from console.demo.stages import KINDS
from console.demo.timeline import QUIET_S, TAKES_AWAY, Stage, Timeline, stages

NOW = 1_732_400_000.0


class Door:
    def __init__(self) -> None:
        self.did: list[str] = []

    def hush(self) -> None:
        self.did.append("hush")

    def vanish(self) -> None:
        self.did.append("vanish")

    def change_key(self) -> None:
        self.did.append("change-key")


@pytest.fixture
def states() -> dict[str, SimState]:
    return {host.name: SimState(host, 1, lambda: NOW) for host in fleet()}


def write(path: Path, *entries: str) -> Path:
    path.write_text("\n".join(f"[[stages]]\n{entry}" for entry in entries), encoding="utf-8")
    return path


def test_the_shipped_incident_has_every_kind_and_leaves_all_hosts_alone_at_first() -> None:
    script = stages()
    assert {stage.kind for stage in script} == set(KINDS)
    assert all(stage.see for stage in script)
    away = [stage for stage in script if stage.kind in TAKES_AWAY]
    assert len(away) == 3
    assert min(stage.at for stage in away) > QUIET_S


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        (['id="a"\nat=1\nhost="gw-fra-1"\nkind="nothing"'], "no kind nothing"),
        (['id="a"\nat=1\nhost="gw-fra-1"\nkind="ecc"'] * 2, "there twice"),
        (['id="a"\nat=29\nhost="gw-fra-1"\nkind="gone"'], "before 30 s"),
    ],
)
def test_a_wrong_incident_is_refused(tmp_path: Path, entries: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        stages(write(tmp_path / "incident.toml", *entries))


def test_an_incident_on_a_host_that_is_not_there_is_refused(states: dict[str, SimState]) -> None:
    script = (Stage(id="a", at=1, host="nowhere", kind="gone"),)
    with pytest.raises(ValueError, match="nowhere"):
        Timeline(script, states, {}, lambda stage: None)


def test_stages_begin_in_order_at_their_time_and_leave_their_traces(
    states: dict[str, SimState],
) -> None:
    doors = {name: Door() for name in states}
    begun: list[tuple[float, str]] = []
    t = 0.0
    line = Timeline(stages(), states, doors, lambda stage: begun.append((t, stage.id)))
    while not line.done and t < 700:
        t += 1
        for state in states.values():
            state.advance(t)
        line.advance(t)
    assert line.done
    assert begun == [(stage.at, stage.id) for stage in stages()]
    kinds = {name: [item.event.kind for item in state.log] for name, state in states.items()}
    assert kinds["gw-fra-1"].count("auth.failed") == 40
    assert kinds["gw-fra-1"].count("auth.accepted") == 1
    assert "tcp/0.0.0.0:4444" in states["h100-fra-2"].tables["listen"]
    strangers = states["h100-fra-2"].tables["gpuprocs"].values()
    assert {row.gpu for row in strangers if row.user == "svc-deploy"} == {5, 6}
    assert any(row.name == "rclone" for row in states["store-fra-1"].tables["openers"].values())
    flows = states["store-fra-1"].tables["flows"].values()
    stolen = [row for row in flows if row.peer == "198.51.100.23"]
    assert stolen[0].tx_bytes >= 141_117_120_512
    assert stolen[0].count == 0
    dead = states["h100-fra-1"].gpus[3]
    assert dead.fast().lost == "GPU is lost"
    assert dead.counters.last_xid == 79
    assert dead.counters.ecc_uncorrected == 6
    assert not [r for r in states["h100-fra-1"].tables["gpuprocs"].values() if r.gpu == 3]
    assert kinds["h100-fra-1"] == ["kernel.xid", "kernel.xid", "gpu.lost"]
    assert doors["l40s-fra-1"].did == ["hush", "vanish"]
    assert doors["mi300-fra-1"].did == ["change-key"]
    assert states["l40s-fra-1"].silent


def test_a_jump_in_time_begins_all_that_is_due_once(states: dict[str, SimState]) -> None:
    begun: list[str] = []
    doors = {name: Door() for name in states}
    line = Timeline(stages(), states, doors, lambda stage: begun.append(stage.id))
    line.advance(60)
    line.advance(60)
    assert begun == [stage.id for stage in stages() if stage.at <= 60]


def test_the_page_tells_of_every_stage_and_its_time() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/demo.md").read_text(encoding="utf-8")
    for stage in stages():
        assert f"| `{stage.id}` | {stage.at:g} s | {stage.host} |" in page
