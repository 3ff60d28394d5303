"""The printed scripts: what a shell makes of them, without running them on a host."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import pytest

from console.config.loader import load
from console.enroll.check import Enrolment
from console.enroll.removal import remove
from console.enroll.script import install, key_lines
from console.enroll.units import SENSOR_UNIT, UNITS
from console.hostside import bundle

ROOT = Path(__file__).resolve().parents[3]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBixhZYv2JF9BUSm5YkSwRylqOCBXmOCxpc7fWGEapn1"
SHELLS = [shell for shell in ("dash", "bash", "sh") if shutil.which(shell)]


def order(tier: int = 2, sources: tuple[str, ...] = ()) -> Enrolment:
    return Enrolment(host="gpu01", tier=tier, keys=(KEY,), sources=sources)


def archive_of(script: str) -> bytes:
    """The archive in a script, as ``base64 -d`` would give it."""
    found = re.search(r"^base64 -d .*\n([A-Za-z0-9+/=\n]+)WATCHFLOOR_END\n", script, re.M)
    assert found is not None
    return b64decode(found[1])


def script_of(kind: str) -> str:
    return remove("gpu01") if kind == "remove" else install(order(int(kind)), None)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("kind", ["0", "1", "2", "remove"])
def test_shells_can_parse_it(shell: str, kind: str) -> None:
    script = script_of(kind)
    done = subprocess.run(
        [shell, "-n"], input=script, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["2", "remove"])
def test_who_is_not_root_is_stopped_at_once(kind: str) -> None:
    script = script_of(kind)
    argv = ["sh", "-s"]
    if os.geteuid() == 0:
        argv = ["setpriv", "--reuid", "65534", "--clear-groups", "--", *argv]
    done = subprocess.run(
        argv, input=script, capture_output=True, text=True, timeout=30, check=False, cwd="/"
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("run this as root")
    assert done.stdout == ""


def test_the_key_comes_last_and_is_bound(tmp_path: Path) -> None:
    script = install(order(sources=("10.0.0.5", "10.1.0.0/16")), None)
    line = next(line for line in script.splitlines() if KEY in line)
    assert line == (
        'restrict,command="exec @PYTHON@ -I -S -u /usr/lib/watchfloor/relay.py",'
        f'from="10.0.0.5,10.1.0.0/16" {KEY} watchfloor'
    )
    assert script.index(KEY) > script.rindex("systemctl start")
    assert script.count(KEY) == 1


def test_each_tier_binds_its_key_to_one_thing() -> None:
    assert key_lines(order(0)) == [f"restrict {KEY} watchfloor"]
    assert "start.py --tier 1" in key_lines(order(1))[0]
    assert "relay.py" in key_lines(order(2))[0]
    assert all(line.startswith("restrict") for tier in (0, 1, 2) for line in key_lines(order(tier)))


def test_the_archive_is_what_is_in_the_repository_and_nothing_more() -> None:
    script = install(order(), b"# binding\n")
    data = archive_of(script)
    assert f"echo '{sha256(data).hexdigest()}  '" in script
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data))) as tar:
        members = tar.getmembers()
        contents = {
            m.name: handle.read() for m in members if (handle := tar.extractfile(m)) is not None
        }
    assert all(m.isfile() or m.isdir() for m in members)
    assert all(m.uid == m.gid == m.mtime == 0 and not m.mode & 0o022 for m in members)
    assert contents.pop("pynvml.py") == b"# binding\n"
    for name in ("start.py", "confine.py", "relay.py", "firewall.py"):
        assert contents.pop(name) == (ROOT / "console/hostside/sensor" / name).read_bytes()
    probe = ROOT / "console/hostside/probe"
    expected = {
        f"watchfloor_probe/{path.relative_to(probe)}": path.read_bytes()
        for path in probe.rglob("*.py")
    }
    assert contents == expected


def run_sh(script: str, cwd: Path | str = "/") -> str:
    """What ``script`` prints in a shell; it must succeed."""
    done = subprocess.run(
        ["sh", "-eu", "-c", script], capture_output=True, text=True, timeout=60, check=True, cwd=cwd
    )
    return done.stdout


def test_the_command_of_the_header_unpacks_the_probe_whose_digest_it_tells(tmp_path: Path) -> None:
    script = install(order(), b"# binding\n")
    (tmp_path / "enroll.sh").write_text(script)
    found = re.search(r"^# +(sed .*) FILE \| base64 -d \| tar -tz$", script, re.M)
    assert found is not None
    listed = run_sh(f"{found[1]} enroll.sh | base64 -d | tar -tz", tmp_path)
    assert {"start.py", "pynvml.py", "watchfloor_probe/main.py"} <= set(listed.split())
    run_sh(f"mkdir read; {found[1]} enroll.sh | base64 -d | tar -xz -C read", tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'read')!r})\n"
    code += "from watchfloor_probe.main import own_sha256; print(own_sha256())"
    argv = [sys.executable, "-I", "-S", "-c", code]
    own = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout
    assert f"#       {own}" in script.split("set -eu")[0]
    assert f"The sha256 of the probe is {own.strip()}." in script


@pytest.mark.parametrize("host_key", [KEY + " root@gpu01", ""])
@pytest.mark.parametrize("tier", [0, 1, 2])
def test_the_printed_host_is_a_valid_inventory(tmp_path: Path, tier: int, host_key: str) -> None:
    script = install(order(tier), None)
    tail = script[script.index("printf '%s\\n' '[[hosts]]'") :].removesuffix("}\nmain\n")
    if host_key:
        (tmp_path / "key.pub").write_text(host_key + "\n")
    shown = run_sh(tail.replace("/etc/ssh/ssh_host_", f"{tmp_path}/").replace(
        f"{tmp_path}/ed25519_key.pub", f"{tmp_path}/key.pub"
    ))  # fmt: skip
    file = tmp_path / "fleet.toml"
    file.write_text(shown)
    (host,) = load(only_file=file, env={}, cwd=tmp_path).hosts
    assert (host.name, host.address, host.user, host.tier) == ("gpu01", "gpu01", "wfmon", tier)
    assert host.key.endswith("/.ssh/wfmon")
    assert host.host_key == ((KEY,) if host_key else ())
    assert host_key or "watchfloor hosts trust gpu01" in shown


@pytest.mark.parametrize("kind", ["0", "1", "2", "remove"])
def test_a_script_that_is_cut_on_its_way_runs_nothing(kind: str) -> None:
    """A shell runs what it has: half of `rm -rf /var/lib/watchfloor` is another command."""
    script = script_of(kind)
    body = [line for line in script.splitlines() if line and not line.startswith("#")]
    assert body[0].startswith("main() {")
    last = 'main "$@"' if kind == "remove" else "main"
    assert body[-2:] == ["}", last]
    assert "\nmain" not in script.removesuffix(f"\n{last}\n")[script.index("main() {") + 8 :]


@pytest.mark.parametrize("kind", ["0", "1", "2", "remove"])
def test_an_account_of_somebody_else_stops_it_before_anything_is_changed(kind: str) -> None:
    script = script_of(kind)
    names = "wfmon wfsensor wfops" if kind == "remove" else "wfmon wfsensor"
    check = re.search(rf"^for account in {names}; do\n    entry=.*?^done\n", script, re.M | re.S)
    assert check is not None
    before = script[: check.start()]
    assert not re.search(r"^\s*(?:rm|userdel|usermod|install|systemctl|mv|id) ", before, re.M)
    stop = 'stop() { echo "$*" >&2; exit 1; }\n'
    # This machine's own accounts: one that is there and not ours, and one that is not there.
    named = stop + check[0].replace(names, "nobody")
    done = subprocess.run(["sh", "-eu", "-c", named], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "nothing was changed, for the account nobody was not made by an enrolment" in done.stderr
    assert run_sh(stop + check[0].replace(names, "no-such-account")) == ""
    if kind != "remove":
        assert "useradd --system --comment Watchfloor" in script[check.end() :]


def test_the_header_says_what_happens_to_groups_and_former_units() -> None:
    for tier in (0, 1, 2):
        head = install(order(tier), None).split("set -eu")[0]
        assert ("systemd-journal" in head) == (tier < 2)
        assert ("takes away the systemd units of tier 2" in head) == (tier < 2)
        assert ("tar -tz" in head) == (tier > 0)
        assert max(map(len, head.splitlines())) <= 100


def test_the_same_order_gives_the_same_script() -> None:
    assert install(order(), b"x") == install(order(), b"x")
    assert bundle.archive(bundle.files()) == bundle.archive(bundle.files())


def test_an_installed_probe_starts_by_itself(tmp_path: Path) -> None:
    data = archive_of(install(order(), None))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(tmp_path, filter="data")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "start.py"), "--version"],
        capture_output=True, text=True, timeout=30, check=True, cwd="/",
    )  # fmt: skip
    assert done.stdout.startswith("watchfloor probe ")


def test_removal_names_everything_that_is_installed() -> None:
    script, undo = install(order(), None), remove("gpu01")
    written = set(re.findall(r"^mv '[^']+' '([^']+)'$", script, re.M))
    assert {f"/etc/systemd/system/{name}" for name in UNITS} < written
    for path in written - {"/var/lib/watchfloor/.ssh/authorized_keys"}:
        assert path in undo
    for path in (
        "/usr/lib/watchfloor",
        "/var/lib/watchfloor",
        "/run/watchfloor",
        "/etc/watchfloor",
    ):
        assert path in undo
    assert "wfmon" in undo
    assert "wfsensor" in undo


def test_the_sensor_holds_no_right_to_write() -> None:
    held = re.findall(r"^(?:Ambient|CapabilityBounding)\w+=(.*)$", SENSOR_UNIT, re.M)
    assert set(" ".join(held).split()) == {
        "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_AUDIT_READ",
    }  # fmt: skip
    # CAP_SYS_PTRACE alone would let it write into any process by these.
    refused = " ".join(re.findall(r"^SystemCallFilter=~(.*)$", SENSOR_UNIT, re.M)).split()
    assert {"process_vm_writev", "ptrace", "pidfd_getfd"} <= set(refused)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    for name, text in UNITS.items():
        (tmp_path / name).write_text(text.replace("@PYTHON@", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no",
         *(str(tmp_path / name) for name in UNITS if "@" not in name),
         str(tmp_path / "watchfloor-sensor@.service")],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "watchfloor" in line]
    assert ours == []


def test_the_command_prints_it(tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text(f"{KEY} somebody\n")
    argv = [sys.executable, "-m", "console", "enroll"]
    run = {"capture_output": True, "text": True, "timeout": 60, "cwd": ROOT, "check": False}
    done = subprocess.run([*argv, "gpu01", "--print", "--key", str(key)], **run)  # type: ignore[call-overload]
    assert done.returncode == 0
    assert done.stdout.startswith("#!/bin/sh\n# Watchfloor ")
    assert "warning: without --from" in done.stderr
    bound = [*argv, "gpu01", "--from", "10.0.0.5", "--key", str(key)]
    done = subprocess.run(bound, **run)  # type: ignore[call-overload]
    assert (done.returncode, done.stderr) == (0, "")
    assert KEY in done.stdout
    for wrong in (["gpu01", "--print"], ["$(id)", "--print", "--key", str(key)]):
        done = subprocess.run([*argv, *wrong], **run)  # type: ignore[call-overload]
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr


def test_bundle_writes_the_archive_and_tells_its_digest(tmp_path: Path) -> None:
    target = tmp_path / "probe.tar.gz"
    done = subprocess.run(
        [sys.executable, "-S", "-I", str(ROOT / "scripts/bundle"), str(target)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.split()[0] == sha256(target.read_bytes()).hexdigest()
    assert target.read_bytes() == bundle.archive(bundle.files())
