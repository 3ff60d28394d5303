"""Inventory of made hosts: containers, models, environments, hardware, packages."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hostside.probe.declared import Declared
from console.hostside.probe.inventory import (
    containers,
    firewall,
    hardware,
    models,
    packages,
    pydists,
    system,
)
from console.hostside.probe.place import Place
from tests.support.inventory import collect, tree

ID = "ab" * 32


@pytest.fixture(autouse=True)
def _nothing_waits() -> Iterator[None]:
    """A step that blocks in the kernel is ended by a signal, and that is a failure."""

    def late(number: int, frame: object) -> None:
        raise AssertionError("a step of the inventory waited for something")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def docker(name: str, running: bool, image: str) -> str:
    config = {
        "ID": ID,
        "Name": "/" + name,
        "Image": image,
        "Config": {"Image": "vllm/vllm-openai:v0.6"},
        "State": {"Running": running, "Pid": 4711 if running else 0},
    }
    return json.dumps(config)


def test_containers_of_docker_and_podman_have_their_image_digest(tmp_path: Path) -> None:
    other = "cd" * 32
    place = tree(
        tmp_path,
        {
            f"/var/lib/docker/containers/{ID}/config.v2.json": docker(
                "vllm", True, "sha256:" + "1" * 64
            ),
            "/var/lib/docker/containers/broken/config.v2.json": "[" * 100_000,
            "/var/lib/containers/storage/overlay-containers/containers.json": json.dumps(
                [{"id": other, "names": ["tgi"], "image": "img1"}]
            ),
            "/var/lib/containers/storage/overlay-images/images.json": json.dumps(
                [{"id": "img1", "digest": "sha256:" + "2" * 64, "names": ["ghcr.io/tgi:2"]}]
            ),
        },
    )
    os.mkfifo(tmp_path / "var/lib/docker/containers/config.v2.json")
    running = {"pid": 99, "container": other[:12], "cgroup": f"/libpod-{other}.scope"}
    found = collect(place, containers.steps, processes=[running])
    first, second = found.tables["containers"][ID], found.tables["containers"][other]
    assert (first.name, first.image, first.digest) == (
        *("vllm", "vllm/vllm-openai:v0.6", "sha256:" + "1" * 64),
    )
    assert (first.runtime, first.state, first.pid) == ("docker", "running", 4711)
    assert (second.name, second.image, second.digest) == (
        *("tgi", "ghcr.io/tgi:2", "sha256:" + "2" * 64),
    )
    assert (second.runtime, second.state, second.pid) == ("podman", "running", 99)
    assert "containers.images" not in found.denied


def test_containers_of_kubernetes_are_read_from_the_runtimes_notes(tmp_path: Path) -> None:
    cri = "io.kubernetes.cri."
    notes = {
        cri + "container-type": "container",
        cri + "container-name": "vllm",
        cri + "image-name": "registry.test/vllm@sha256:" + "3" * 64,
    }
    crio = {
        "io.kubernetes.cri-o.Name": "k8s_tgi",
        "io.kubernetes.cri-o.ImageName": "registry.test/tgi:2",
        "io.kubernetes.cri-o.ImageRef": "4" * 64,
    }
    task = "/run/containerd/io.containerd.runtime.v2.task/k8s.io"
    place = tree(
        tmp_path,
        {
            f"{task}/{ID}/config.json": json.dumps({"annotations": notes}),
            f"{task}/{'ee' * 32}/config.json": json.dumps(
                {"annotations": {cri + "container-type": "sandbox"}}
            ),
            f"/run/containers/storage/overlay-containers/{'cd' * 32}/userdata/config.json": (
                json.dumps({"annotations": crio})
            ),
        },
    )
    rows = collect(place, containers.steps).tables["containers"]
    assert rows.keys() == {ID, "cd" * 32}
    assert (rows[ID].name, rows[ID].digest, rows[ID].runtime) == (
        *("vllm", "sha256:" + "3" * 64, "containerd"),
    )
    assert (rows["cd" * 32].digest, rows["cd" * 32].runtime) == ("sha256:" + "4" * 64, "crio")


def test_a_container_whose_image_is_in_no_file_is_said_so(tmp_path: Path) -> None:
    running = {"pid": 9, "container": "abcdef012345", "cgroup": "/docker-abcdef.scope"}
    found = collect(tree(tmp_path, {}), containers.steps, processes=[running])
    assert found.tables["containers"]["abcdef012345"].runtime == "docker"
    assert "containers.images" in found.denied


def model(root: Path, kind: str = "vllm", path: str = "/srv/models") -> dict[str, Any]:
    declared = Declared()
    declared.sources.append({"name": "chat", "kind": kind, "unit": "vllm.service", "path": path})
    place = Place(proc=str(root / "proc"), root=str(root))
    return collect(place, models.steps, declared).tables["models"]


def test_versions_of_a_model_and_which_is_served(tmp_path: Path) -> None:
    tree(tmp_path, {"/srv/models/v1/a.bin": b"1" * 10, "/srv/models/v2/b/c.bin": b"2" * 30})
    os.symlink("v2", tmp_path / "srv/models/current")
    os.utime(tmp_path / "srv/models/v2/b/c.bin", (5, 1_700_000_000))
    rows = model(tmp_path)
    assert {key: (r.current, r.size_bytes, r.files, r.error) for key, r in rows.items()} == {
        "chat/v1": (False, 10, 1, ""),
        "chat/v2": (True, 30, 1, ""),
    }
    assert rows["chat/v2"].modified == 1_700_000_000
    assert (rows["chat/v2"].unit, rows["chat/v2"].path) == ("vllm.service", "/srv/models/v2")


def test_the_highest_number_of_triton_is_served(tmp_path: Path) -> None:
    tree(tmp_path, {f"/srv/models/{n}/model.plan": b"x" for n in (2, 9, 10)})
    rows = model(tmp_path, "triton")
    assert [key for key, row in rows.items() if row.current] == ["chat/10"]


def test_snapshots_of_a_hub_cache_are_versions(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "/srv/models/blobs/aaa": b"w" * 50,
            "/srv/models/refs/main": "rev2",
            "/srv/models/snapshots/rev1/config.json": b"{}",
            "/srv/models/snapshots/rev2/README": b"1",
        },
    )
    os.symlink("../../blobs/aaa", tmp_path / "srv/models/snapshots/rev2/model.safetensors")
    rows = model(tmp_path)
    assert {key: (row.current, row.size_bytes) for key, row in rows.items()} == {
        "chat/rev1": (False, 2),
        "chat/rev2": (True, 51),
    }


def test_links_in_a_model_folder_are_not_followed(tmp_path: Path) -> None:
    tree(tmp_path, {"/srv/models/v1/a.bin": b"1" * 10, "/etc/shadow": b"s" * 999})
    inside = tmp_path / "srv/models/v1"
    os.symlink("/etc/shadow", inside / "weights.bin")
    os.symlink("..", inside / "up")
    os.symlink("/etc", tmp_path / "srv/models/v9")
    os.mkfifo(inside / "pipe")
    os.symlink("/etc/shadow", tmp_path / "srv/models/current")
    rows = model(tmp_path)
    assert (rows["chat/v1"].size_bytes, rows["chat/v1"].files) == (10, 1)
    assert "chat/v9" not in rows
    wrong = rows["chat/current"]
    assert (wrong.current, wrong.size_bytes) == (True, 0)
    assert "outside" in wrong.error


def test_a_model_without_end_is_cut_and_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "MAX_FILES", 5)
    tree(tmp_path, {f"/srv/models/v1/{n}": b"1" for n in range(9)})
    assert "more than 5" in model(tmp_path)["chat/v1"].error
    assert model(tmp_path, path="/srv/nothing")["chat/-"].error == "No such file or directory"


def python(pid: int, prefix: str, **more: Any) -> dict[str, Any]:
    exe = f"{prefix}/bin/python3.12"
    facts = {"pid": pid, "name": "vllm", "exe": exe, "cmdline": f"{exe} -m vllm serve", "uid": 990}
    return {**facts, "cgroup": "/system.slice/vllm.service", "container": "", **more}


def test_distributions_of_serving_environments(tmp_path: Path) -> None:
    site = "/opt/venv/lib/python3.12/site-packages"
    place = tree(
        tmp_path,
        {
            f"{site}/vllm-0.6.1.dist-info/METADATA": "Name: vllm\nVersion: 9\n",
            f"{site}/odd.egg-info/PKG-INFO": "Metadata-Version: 1\nName: odd\nVersion: 3.0\n",
            f"{site}/torch/version.py": "",
        },
    )
    os.mkfifo(tmp_path / site[1:] / "METADATA")
    (tmp_path / site[1:] / "pipe.dist-info").mkdir()
    os.mkfifo(tmp_path / site[1:] / "pipe.dist-info/METADATA")
    ours = [python(10, "/opt/venv"), python(11, "/opt/venv"), python(12, "/opt/none")]
    found = collect(place, pydists.steps, processes=ours)
    rows = found.tables["pydists"].values()
    assert {(r.environment, r.name, r.version) for r in rows} == {
        (site, "vllm", "0.6.1"),
        (site, "odd", "3.0"),
    }
    assert "pydists" not in found.denied


def test_an_environment_in_a_container_is_read_below_its_root(tmp_path: Path) -> None:
    site = "/proc/20/root/usr/local/lib/python3.12/dist-packages"
    place = tree(tmp_path, {f"{site}/vllm-0.6.1.dist-info/METADATA": ""})
    (tmp_path / "proc/21/root/opt").mkdir(parents=True)
    os.symlink("/usr", tmp_path / "proc/21/root/opt/venv")  # of the host, if it were followed
    ours = [
        python(20, "/usr/local", container="abcdef012345"),
        python(21, "/opt/venv", container="bbbbbb012345"),
    ]
    rows = collect(place, pydists.steps, processes=ours).tables["pydists"]
    assert [(one.environment, one.name) for one in rows.values()] == [
        ("abcdef012345:/usr/local/lib/python3.12/dist-packages", "vllm")
    ]


def test_nobody_can_push_the_serving_environment_out_of_the_list(tmp_path: Path) -> None:
    many = [f"/home/a/{n:03}" for n in range(pydists.MAX_ENVIRONMENTS + 5)]
    folder = "lib/python3.12/site-packages/x-1.dist-info/METADATA"
    place = tree(tmp_path, {f"{prefix}/{folder}": "" for prefix in [*many, "/opt/venv"]})
    ours = [python(50 + n, prefix, uid=1001) for n, prefix in enumerate(many)]
    found = collect(place, pydists.steps, processes=[*ours, python(9, "/opt/venv")])
    assert "/opt/venv/lib/python3.12/site-packages/x" in found.tables["pydists"]
    assert "at most" in found.denied["pydists"]


def test_a_server_that_may_not_be_looked_into_is_denied_and_not_empty(tmp_path: Path) -> None:
    hidden = python(7, "/opt/venv", exe=None, cmdline="vllm serve m")
    found = collect(tree(tmp_path, {}), pydists.steps, processes=[hidden])
    assert found.denied["pydists"] == "CAP_SYS_PTRACE (tier 2)"


def test_hardware_of_a_server(tmp_path: Path) -> None:
    dmi = "/sys/class/dmi/id/"
    place = tree(
        tmp_path,
        {
            dmi + "sys_vendor": "Supermicro\n",
            dmi + "product_name": "SYS-821GE\n",
            dmi + "bios_version": "2.1\n",
            dmi + "product_serial": "S1234\n",
            "/sys/class/ipmi/ipmi0/device/bmc/firmware_revision": "1.74\n",
            "/sys/class/tpm/tpm0/tpm_version_major": "2\n",
            "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Xeon\nmicrocode\t: 0x2b\n" * 2,
            "/proc/meminfo": "MemTotal:  1000 kB\n",
        },
    )
    facts = collect(place, hardware.steps).sections["hardware"]
    assert (facts.vendor, facts.product, facts.bios_version) == ("Supermicro", "SYS-821GE", "2.1")
    assert (facts.bmc, facts.tpm, facts.microcode, facts.cpu_count) == ("1.74", "2", "0x2b", 2)
    assert len(facts.serial_hash) == 32
    assert "S1234" not in repr(facts)


def test_a_kernel_with_secure_boot_lockdown_and_iommu(tmp_path: Path) -> None:
    place = tree(
        tmp_path,
        {
            "/proc/stat": "btime 1700000000\n",
            "/proc/cmdline": "quiet token=Zq7vN3xK9pLw2RtY5mBc ro\n",
            "/proc/modules": "nvidia 1 0 - Live 0x0\nxfs 1 0 - Live 0x0\n",
            "/proc/sys/kernel/tainted": "4097\n",
            system.SECURE_BOOT: b"\x06\0\0\0\x01",
            "/sys/kernel/security/lockdown": "none [integrity] confidentiality\n",
            "/sys/kernel/security/lsm": "lockdown,apparmor\n",
            "/sys/class/iommu/dmar0/x": "",
        },
    )
    found = collect(place, system.kernel_facts)
    kernel = found.sections["kernel"]
    assert (kernel.secure_boot, kernel.lockdown, kernel.iommu) == (True, "integrity", True)
    assert kernel.taint_flags == ("proprietary-module", "out-of-tree-module")
    assert (kernel.modules, kernel.boot_time, kernel.lsm) == (2, 1_700_000_000, "lockdown,apparmor")
    assert "Zq7v" not in kernel.cmdline
    assert found.denied == {}
    (tmp_path / system.SECURE_BOOT[1:]).unlink()
    for name in ("lockdown", "lsm"):
        (tmp_path / "sys/kernel/security" / name).unlink()
    assert collect(place, system.kernel_facts).denied.keys() == {
        *("kernel.lsm", "kernel.secure_boot")
    }


def test_packages_of_an_image_without_dpkg_and_a_status_file_cut_in_pieces(tmp_path: Path) -> None:
    text = "".join(
        f"Package: p{n}\nStatus: install ok installed\nArchitecture: all\nVersion: {n}\n"
        f"Description: {'é' * (n % 97)}\n\n"
        for n in range(3000)
    )
    part = "Package: tzdata\nVersion: 2024a\nArchitecture: all\n"
    place = tree(
        tmp_path,
        {packages.DPKG_STATUS: text, packages.DPKG_PARTS + "/tzdata": part},
    )
    found = collect(place, packages.steps)
    names = {one.name for one in found.tables["packages"].values()}
    assert names == {f"p{n}" for n in range(3000)} | {"tzdata"}
    assert found.steps > len(text) // packages.CHUNK


def test_versions_in_the_layout_of_the_guard(tmp_path: Path) -> None:
    tree(tmp_path, {f"/srv/models/versions/{v}/model.safetensors": b"w" for v in ("v1", "v2")})
    os.symlink("versions/v2", tmp_path / "srv/models/current")
    rows = model(tmp_path)
    assert {key: (row.current, row.error) for key, row in rows.items()} == {
        "chat/v1": (False, ""),
        "chat/v2": (True, ""),
    }


def test_tables_of_the_guard_do_not_change_the_digest_of_the_hosts_own_rules() -> None:
    own = [
        {"table": {"family": "inet", "name": "filter"}},
        {"rule": {"family": "inet", "table": "filter", "chain": "input", "expr": []}},
    ]
    guards = [
        {"table": {"family": "inet", "name": "watchfloor"}},
        {"rule": {"family": "inet", "table": "watchfloor", "chain": "in", "expr": []}},
    ]
    plain = json.dumps({"nftables": own}).encode()
    isolated = json.dumps({"nftables": [*own, *guards]}).encode()
    assert firewall.normalised(isolated) == firewall.normalised(plain)
    assert firewall.normalised(plain)[1] == 1
