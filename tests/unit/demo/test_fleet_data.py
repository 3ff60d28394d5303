"""The simulated fleet is believable, complete, and the same for the same seed."""

import msgspec
import pytest

from console.demo.facts import inventory, packages
from console.demo.fleet import SimHost, catalog, fleet, swarm
from console.demo.processes import declared
from console.demo.simulate import SimState
from console.model.tables import TABLES

NOW = 1_732_400_000.0


def state(host: SimHost, seed: int = 1) -> SimState:
    return SimState(host, seed, lambda: NOW)


def test_seven_hosts_with_names_of_their_own() -> None:
    names = [host.name for host in fleet()]
    assert len(names) == len(set(names)) == 7
    assert {"gateway", "model-store", "inference"} == {host.role for host in fleet()}
    assert {"nvidia", "amd"} == {catalog().gpus[host.gpu].vendor for host in fleet() if host.gpu}


@pytest.mark.parametrize("host", fleet(), ids=lambda host: host.name)
def test_every_table_and_section_is_filled_or_rightly_empty(host: SimHost) -> None:
    sim = state(host)
    assert set(sim.tables) == set(TABLES)
    for name, rows in sim.tables.items():
        assert all(isinstance(row, TABLES[name]) for row in rows.values())
    facts = inventory(host, 1, NOW)
    assert all(getattr(facts, field.name) is not None for field in msgspec.structs.fields(facts))
    assert len(sim.gpus) == host.gpus == len(facts.gpus or ())
    assert sim.tables["procs"]
    assert sim.tables["packages"]
    for service in host.services:
        assert set(service.listen) <= set(sim.tables["listen"])
        assert all(gpu < host.gpus for gpu in service.gpus)
    assert set(declared(host)) == set(sim.tables["listen"])


def test_driver_packages_carry_the_driver_s_version() -> None:
    host = next(host for host in fleet() if host.name == "h100-fra-1")
    by_name = {row.name: row.version for row in packages(host)}
    assert by_name["nvidia-driver-535-server"] == "535.129.03-0ubuntu0.22.04.1"
    assert by_name["nvidia-fabricmanager-535"].startswith("535.129.03")


def test_the_same_seed_gives_the_same_host_and_another_seed_another() -> None:
    host = fleet()[1]
    one, two, other = state(host), state(host), state(host, seed=2)
    for sim in (one, two, other):
        sim.advance(120)
    assert one.fast(2.0) == two.fast(2.0)
    assert one.tables == two.tables
    assert one.host_id == two.host_id
    assert one.host_id != other.host_id
    assert one.fast(2.0) != other.fast(2.0)


def test_numbers_stay_within_what_the_device_can_do() -> None:
    for host in fleet():
        sim = state(host)
        for second in range(1, 900, 7):
            sim.advance(second)
            for gpu, fast in zip(sim.gpus, sim.fast(2.0).gpu, strict=True):
                assert 0 <= (fast.util_pct or 0) <= 100
                assert 0 <= (fast.mem_used_mib or 0) <= gpu.kind.mem_mib
                assert 20 <= (fast.temp_c or 0) <= gpu.kind.slowdown_c
                assert 0 < (fast.power_w or 0) <= gpu.kind.limit_w * 1.05


def test_a_swarm_is_of_small_hosts_with_ids_of_their_own() -> None:
    hosts = swarm(200)
    assert [hosts[0].name, hosts[-1].name] == ["sim001", "sim200"]
    assert len({state(host).host_id for host in hosts}) == 200
    assert all(host.gpus == 2 for host in hosts)
