"""``watchfloor audit`` as a program: what is printed, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from console.audit.exchange import write_log
from console.audit.report import LIMITS
from console.audit.verify import Material
from console.audit.witness import Watch
from console.store.witness import Witness
from tests.support.auditlog import Host
from tests.support.watchfloor import watchfloor


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "host").mkdir()
    made = Host(tmp_path / "host")
    made.enrol()
    return made


@pytest.fixture
def run(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> Runner:
    return Runner(tmp_path, host)


class Runner:
    """A console whose own roster and policy are those of the host."""

    def __init__(self, folder: Path, host: Host) -> None:
        self.folder = folder
        self.state = folder / "state"
        trust = folder / "config/watchfloor/trust"
        trust.mkdir(parents=True, mode=0o700)
        for kind, data in (("roster", host.roster), ("policy", host.policy)):
            (trust / f"{kind}-1.json").write_bytes(data)
            (trust / f"{kind}-1.sigs").write_text('{"adopted": 1, "signatures": []}')
        for path in trust.iterdir():
            path.chmod(0o600)
        (folder / "fleet.toml").write_text(
            f'state_dir = "{self.state}"\n[[hosts]]\nname = "gpu01"\naddress = "192.0.2.1"\n'
            'user = "wfmon"\n'
        )

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "XDG_CONFIG_HOME": str(self.folder / "config")}
        return watchfloor("--config", str(self.folder / "fleet.toml"), "audit", *words, env=env)

    def log(self, material: Material) -> str:
        """A file as ``audit export`` writes it."""
        path = self.folder / "gpu01.audit"
        write_log(path, material)
        return str(path)

    def shown(self, host: Host) -> None:
        """The console sees the host's newest checkpoint."""
        Watch(Witness(self.state)).saw("gpu01", "checkpoint", host.checkpoint())


def test_a_proved_log_is_0_and_says_its_limits(run: Runner, host: Host) -> None:
    """Two who agree, and the tail that nobody saw, are said every time. Threats: 34, 96."""
    run.shown(host)
    rid = host.isolate()
    done = run("verify", "gpu01", "--from", run.log(host.material([rid])))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("gpu01: PROVED: 7 records, 2 signatures")
    for limit in LIMITS:
        assert f"No log can show {limit}" in done.stdout
    assert "WRONG" not in done.stdout
    assert f"  people   isolate by alice, approved by bob: STANDING [{rid[:12]}]" in done.stdout


def test_people_are_named_to_programs_as_well(run: Runner, host: Host) -> None:
    run.shown(host)
    rid = host.isolate()
    log = run.log(host.material([rid]))
    done = run("verify", "gpu01", "--from", log, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["code"], found["limits"]) == (0, 0, list(LIMITS))
    (one,) = found["hosts"]
    assert (one["host"], one["verdict"]) == ("gpu01", "proved")
    assert not one["wrong"] + one["missing"]
    (asked,) = one["requests"]
    assert (asked["id"], asked["requester"], asked["approvers"]) == (rid, "alice", ["bob"])
    assert asked["same_console"] is False
    (host.folder / "none.audit").write_bytes(b"{}\n")
    lost = run("verify", "gpu01", "--from", str(host.folder / "none.audit"), "--json")
    (one,) = json.loads(lost.stdout)["hosts"]
    assert (lost.returncode, one["verdict"], one["requests"]) == (1, "wrong", [])


def test_a_bare_log_cannot_be_proved_whole(run: Runner, host: Host) -> None:
    host.isolate()
    done = run("verify", "gpu01", "--from", str(host.path))
    assert done.returncode == 3
    assert "  missing  no checkpoint came with the log" in done.stdout


def test_a_tampered_line_is_1_and_named(run: Runner, host: Host) -> None:
    """Threats: 95."""
    rid = host.isolate()
    run.shown(host)
    material = host.material([rid])
    lines = [*material.lines]
    lines[3] = lines[3].replace(b"approve", b"APPROVE")
    path = run.log(Material("gpu01", lines, material.checkpoint, material.state))
    done = run("verify", "gpu01", "--from", path)
    assert done.returncode == 1
    assert "  WRONG    record 4: does not follow the line before it" in done.stdout
    assert "CHANGED" in done.stdout


def test_two_consoles_find_a_fork(run: Runner, host: Host, tmp_path: Path) -> None:
    """One console's checkpoints, given to the other. Threats: 97."""
    host.isolate()
    run.shown(host)
    done = run("checkpoints", "-o", str(tmp_path / "alice.checkpoints"))
    assert done.returncode == 0, done.stderr
    assert "1 checkpoint in" in done.stderr
    host.path.write_bytes(b"")
    for name in ("edge", "index", "checkpoint.json"):
        (host.path.parent / name).unlink()
    host.log = host.anew()
    host.now += 7
    host.enrol()
    rid = host.isolate()
    (tmp_path / "bob").mkdir()
    bob = Runner(tmp_path / "bob", host)
    log = bob.log(host.material([rid]))
    alone = bob("verify", "gpu01", "--from", log)
    assert alone.returncode == 3  # nothing was remembered
    both = bob("verify", "gpu01", "--from", log, "--with", str(tmp_path / "alice.checkpoints"))
    assert both.returncode == 1
    assert "WRONG    FORK: the host signed two different logs of 7 records" in both.stdout
    assert "alice.checkpoints" in both.stdout


def test_records_are_shown_and_obey_nothing(run: Runner, host: Host) -> None:
    rid = host.isolate()
    host.log.append("error", rid, {"why": "\x1b]52;c;evil\x07 \u202e"})
    done = run("show", "gpu01", "--from", str(host.path))
    assert done.returncode == 0
    assert "submit           " in done.stdout
    assert "isolate alice reason: INC-4711" in done.stdout
    assert done.stdout.replace("\n", "").replace("\ufffd", "").isprintable()
    one = run("show", "gpu01", "--from", str(host.path), "--request", rid[:12])
    assert '"verdict":"approve"' in one.stdout
    assert "BEGIN SSH SIGNATURE" in one.stdout
    none = run("show", "gpu01", "--from", str(host.path), "--request", "ffff")
    assert none.returncode == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["verify", "gpu99"], 2, "no host is called 'gpu99'"),
        (["verify", "gpu01"], 2, "no login to the guards is set"),
        (["verify", "gpu01", "--from", "/nowhere"], 2, "cannot be read"),
        (["verify", "gpu01", "--with", "/nowhere"], 2, "cannot be read"),
        (["export", "gpu01"], 2, "-o"),
        ([], 2, "required"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_mistakes_are_2(run: Runner, words: list[str], code: int, said: str) -> None:
    done = run(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_host_is_3(run: Runner, tmp_path: Path) -> None:
    key = tmp_path / "login"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    file = run.folder / "fleet.toml"
    pin = " ".join(Path(f"{key}.pub").read_text().split()[:2])
    file.write_text(
        f'state_dir = "{run.state}"\n[operator]\nlogin_key = "{key}"\n[[hosts]]\nname = "gpu01"\n'
        f'address = "127.0.0.1"\nport = 1\nuser = "wfmon"\nhost_key = "{pin}"\n'
    )
    file.chmod(0o600)
    done = run("verify")
    assert done.returncode == 3, done.stderr
    assert "gpu01: NOT PROVED: its log could not be had" in done.stdout


def test_the_peers_file_has_standard_lines_after_a_proof(run: Runner, host: Host) -> None:
    run.shown(host)
    rid = host.isolate()
    assert run("verify", "gpu01", "--from", run.log(host.material([rid]))).returncode == 0
    out = run.folder / "peer"
    assert run("checkpoints", "-o", str(out)).returncode == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert rows[0]["witness"].startswith("watchfloor-console/")
    assert all(row["note"].startswith("watchfloor/h-11\n") for row in rows[1:])
    assert len(rows) == 3
