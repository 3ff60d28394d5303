"""The inventory of this machine, beside what its own tools say at the same moment."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from console.hostside.probe.inventory import (
    accounts,
    digests,
    hardware,
    mounts,
    nics,
    packages,
    system,
)
from console.hostside.probe.place import Place
from tests.support.inventory import Found, collect

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to read what it compares")


def told(*argv: str) -> str:
    """Output of a tool, which is skipped where it is not there."""
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout


def test_everything_is_read_in_small_steps_and_is_there_or_denied() -> None:
    found = collect(Place())
    assert found.sections.keys() == {"os", "kernel", "hardware", "nics", "digests"}
    tables = {"mounts", "accounts", "containers", "models", "packages", "pydists"}
    assert found.tables.keys() == tables
    assert found.steps > 50
    for name in ("sudoers", "units", "crontabs", "authorized_keys", "firewall", "sshd_effective"):
        missing = not getattr(found.sections["digests"], name)
        assert not missing or f"digests.{name}" in found.denied or name == "authorized_keys"


def test_the_kernel_is_that_of_uname() -> None:
    kernel = collect(Place(), system.kernel_facts).sections["kernel"]
    assert (kernel.release, kernel.version) == (platform.release(), platform.version())
    assert kernel.machine == platform.machine()
    assert kernel.taint == int(Path("/proc/sys/kernel/tainted").read_text())
    assert kernel.boot_time == pytest.approx(
        float(re.findall(r"btime (\d+)", Path("/proc/stat").read_text())[0]), abs=2
    )
    whole = Path("/proc/cmdline").read_text().strip()
    assert whole.startswith(kernel.cmdline[:40].split("[")[0])


def test_the_distribution_is_that_of_its_file() -> None:
    facts = collect(Place(), system.os_facts).sections["os"]
    known = platform.freedesktop_os_release()
    assert (facts.id, facts.pretty) == (known["ID"], known["PRETTY_NAME"])
    assert facts.version == known.get("VERSION_ID", "")
    assert facts.hostname == platform.node()


def test_processors_and_memory() -> None:
    facts = collect(Place(), hardware.steps).sections["hardware"]
    assert facts.cpu_count == len(re.findall(r"(?m)^processor", Path("/proc/cpuinfo").read_text()))
    assert facts.mem_total_kib == pytest.approx(
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE") // 1024, rel=0.01
    )


def test_packages_are_those_of_dpkg() -> None:
    form = (
        "${Package}\t${Architecture}\t${Version}\t${source:Package}\t${source:Version}\t"
        "${db:Status-Status}\n"
    )
    wanted = set()
    for line in told("dpkg-query", "-W", "-f", form).splitlines():
        *row, state = line.split("\t")
        if state not in ("not-installed", "config-files"):
            wanted.add(tuple(row))
    found = collect(Place(), packages.steps)
    deb = {
        (one.name, one.arch, one.version, one.source, one.source_version)
        for one in found.tables["packages"].values()
        if one.kind == "deb"
    }
    assert deb == wanted
    assert len(deb) > 50


def test_packages_are_those_of_rpm() -> None:
    wanted = set(told("rpm", "-qa", "--qf", "%{NAME} %{VERSION}-%{RELEASE} %{ARCH}\n").split("\n"))
    found = collect(Place(), packages.steps)
    rpm = [one for one in found.tables["packages"].values() if one.kind == "rpm"]
    ours = {f"{one.name} {one.version.split(':')[-1]} {one.arch}" for one in rpm}
    assert ours == {line for line in wanted if line and not line.startswith("gpg-pubkey")}


def test_mounts_are_those_of_findmnt() -> None:
    lines = told("findmnt", "-J", "--list", "-o", "TARGET,SOURCE,FSTYPE,OPTIONS")
    wanted = {}
    for mount in json.loads(lines)["filesystems"]:
        if mount["fstype"] not in mounts.VIRTUAL:
            wanted[mount["target"]] = (mount["fstype"], (mount["source"] or "").split("[")[0])
    found = collect(Place(), mounts.steps).tables["mounts"]
    # Other tests mount and unmount: what both saw must agree, and the root is always there.
    both = found.keys() & wanted.keys()
    assert "/" in both
    for target in both:
        assert (found[target].fstype, found[target].source) == wanted[target]
    about = os.statvfs("/")
    assert found["/"].size_mib == about.f_blocks * about.f_frsize >> 20


def test_a_volume_under_dm_crypt_is_told_from_a_plain_one(tmp_path: Path) -> None:
    for device, files in {
        "253:1": {"dm/uuid": "CRYPT-LUKS2-0123-name"},
        "253:2": {"dm/uuid": "CRYPT-PLAIN-name"},
        "253:3": {"dm/uuid": "LVM-x", "slaves/dm-1/dev": "253:1"},
        "253:4": {"dm/uuid": "LVM-x", "slaves/dm-1/dev": "253:1", "slaves/sda/dev": "8:0"},
        "8:0": {"size": "1"},
    }.items():
        for name, text in files.items():
            path = tmp_path / "sys/dev/block" / device / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    loop = tmp_path / "sys/dev/block/253:5/slaves/dm-5"
    loop.mkdir(parents=True)
    (loop / "dev").write_text("253:5")
    place = Place(proc=str(tmp_path / "proc"), root=str(tmp_path))
    kinds = [mounts.encryption(place, f"253:{n}") for n in range(1, 6)]
    assert kinds == ["luks", "plain", "luks", "none", "unknown"]
    assert mounts.encryption(place, "8:0") == "none"
    assert mounts.encryption(place, "8:9") == "unknown"


@ROOT
def test_accounts_are_those_of_getent() -> None:
    wanted = {}
    for line in told("getent", "-s", "files", "passwd").splitlines():
        name, _, uid, gid, _, home, shell = line.split(":", 6)
        wanted[name] = (int(uid), int(gid), home, shell)
    found = collect(Place(), accounts.steps)
    ours = {
        name: (one.uid, one.gid, one.home, one.shell)
        for name, one in found.tables["accounts"].items()
    }
    assert ours == wanted
    assert "accounts.locked" not in found.denied
    state = told("passwd", "-S", "root").split()[1]
    assert found.tables["accounts"]["root"].locked is (state == "L")
    for line in told("getent", "-s", "files", "group").splitlines():
        group, _, _, users = line.split(":")
        for user in filter(None, users.split(",")):
            if user in found.tables["accounts"]:
                assert group in found.tables["accounts"][user].groups.split(",")


@ROOT
def test_effective_settings_are_sshds_own() -> None:
    wanted = told("sshd", "-T")
    facts = collect(Place(), digests.steps).sections["digests"]
    for name in ("permitrootlogin", "passwordauthentication", "maxauthtries", "x11forwarding"):
        assert f"\n{name} {facts.sshd[name]}\n" in f"\n{wanted}"
    assert len(facts.sshd_effective) == 64


@ROOT
def test_the_firewall_digest_follows_nft_in_a_network_of_its_own() -> None:
    """A probe's digest before and after a rule, in a network namespace that ends with it."""
    if shutil.which("unshare") is None or shutil.which("nft") is None:
        pytest.skip("needs unshare and nft")
    code = """
import json, subprocess, sys
sys.path.insert(0, sys.argv[1])
from console.hostside.probe.inventory import firewall
from console.hostside.probe.place import Place
def look():
    steps, known = firewall.firewall(Place()), []
    while True:
        try:
            known.append(next(steps))
        except StopIteration as end:
            return [end.value, [one for one in known if one[0] == "denied"]]
def nft(text):
    subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True)
out = [look()]
nft("add table inet a; add chain inet a b { type filter hook input priority 0; }")
nft("add rule inet a b tcp dport 4000 counter drop")
out += [look(), look()]
nft("add rule inet a b tcp dport 4001 counter drop")
out.append(look())
print(json.dumps(out))
"""
    root = str(Path(__file__).resolve().parents[3])
    python = [shutil.which("python3") or "python3", "-I", "-c", code, root]
    done = subprocess.run(["unshare", "-n", *python], capture_output=True, text=True, timeout=90)
    if done.returncode:
        pytest.skip(f"no nftables in a namespace here: {done.stderr[-200:]}")
    empty, one, same, two = json.loads(done.stdout)
    assert [look[0]["firewall_rules"] for look in (empty, one, two)] == [0, 1, 2]
    assert one[0]["firewall"] == same[0]["firewall"] != two[0]["firewall"]
    assert one[1] == [["denied", "digests.firewall", None]]


def test_interfaces_are_those_of_ip() -> None:
    wanted = {one["ifname"]: one for one in json.loads(told("ip", "-j", "address"))}
    section = collect(Place(), nics.steps).sections["nics"]
    found = {nic.name: nic for nic in section}
    assert "lo" not in found
    physical = [name for name in wanted if Path(f"/sys/class/net/{name}/device").exists()]
    assert set(physical) <= found.keys()
    for name in found.keys() & wanted.keys():
        assert found[name].mac == wanted[name]["address"]
        ours = {one.split("/")[0] for one in found[name].addresses}
        assert ours == {a["local"] for a in wanted[name]["addr_info"]}
    for name in physical:
        driver = os.path.basename(os.readlink(f"/sys/class/net/{name}/device/driver"))
        assert found[name].driver.replace("-", "_") == driver.replace("-", "_")


@ROOT
def test_another_user_gets_no_empty_answers() -> None:
    """As nobody each fact that only root may read is missing and named with its right."""
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    code = """
import json, sys
sys.path.insert(0, sys.argv[1])
from console.hostside.probe.declared import Declared
from console.hostside.probe.inventory import steps
from console.hostside.probe.inventory_lane import Context
from console.hostside.probe.place import Place
declared = Declared()
declared.sources.append({"name": "m", "kind": "directory", "path": "/root"})
process = {"pid": 1, "name": "vllm", "exe": None, "cmdline": "python3 -m vllm serve", "uid": 0}
seen = [s for s in steps(Context(Place(), declared, 0, None, list, lambda: [process]))]
print(json.dumps([s for s in seen if s[0] != "step"]))
"""
    root = str(Path(__file__).resolve().parents[3])
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    argv = [*nobody, "/usr/bin/python3", "-I", "-B", "-c", code, root]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90)
    if "No module named" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("the checkout may not be read by nobody")
    assert done.returncode == 0, done.stderr
    found = Found()
    for item in json.loads(done.stdout):
        found.take(tuple(item))
    wanted = {
        *("accounts.locked", "digests.sudoers", "digests.firewall", "digests.sshd_effective"),
        *("models", "pydists"),
    }
    assert wanted <= found.denied.keys()
    assert all("root" in found.denied[key] or "CAP_" in found.denied[key] for key in wanted)
    facts = found.sections["digests"]
    assert (facts.sudoers, facts.firewall, facts.sshd_effective) == ("", "", "")
    assert facts.units
    assert {one.locked for one in found.tables["accounts"].values()} == {None}
    mine = found.tables["accounts"]["root"]
    assert (mine.keys, mine.keys_digest) == (None, None)
    assert "accounts.keys" in found.denied
    (model,) = found.tables["models"].values()
    assert model.error == "Permission denied"
