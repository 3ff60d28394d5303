"""What the guard's actions do to a real host: systemd, logind, sshd, nginx and apt."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.guarded import Guarded
from tests.support.lab import LabHost, LabUnavailable, wait_until
from tests.support.labroot import PACKAGES

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

SERVICE = """\
[Service]
ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 8000
WorkingDirectory=/usr/share
Restart=always
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """A host with a gateway, a scheduler, and one service that stands for a model server."""
    try:
        with LabHost(41, PACKAGES + ",nginx-light,cron,at") as host:
            made = Guarded(host)
            made.policy["services"] = ["serve.service", "needed.service", "stubborn.service"]
            unit(host, "serve.service", SERVICE)
            host.run("systemctl", "enable", "--now", "serve.service")
            yield made
    except LabUnavailable as why:
        pytest.skip(f"no lab host: {why}")


def unit(host: LabHost, name: str, text: str) -> None:
    path = host.root / "etc/systemd/system" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    host.run("systemctl", "daemon-reload")


def shown(host: LabHost, name: str, prop: str) -> str:
    return host.run("systemctl", "show", "-p", prop, "--value", "--", name).stdout.strip()


def state(host: LabHost, name: str) -> str:
    return shown(host, name, "ActiveState")


# ---- services


def test_a_stopped_service_stays_stopped_until_it_is_undone(guarded: Guarded) -> None:
    host = guarded.host
    found = guarded.ask("stop-service", service="serve.service")["ok"]
    assert found["plan"]["steps"] == [
        {"kind": "unit", "args": {"name": "serve.service", "op": "stop"}}
    ]
    preview = found["preview"]
    assert any("python3" in line for line in preview["effect"])
    assert any("127.0.0.1:8000" in line for line in preview["cut_off"])
    step = found["plan"]["steps"][0]
    before = guarded.look(step)
    assert guarded.do(step, before) == {"state": "stopped", "killed": 0}
    assert guarded.holds(step, before)
    assert host.run("systemctl", "start", "serve.service", check=False).returncode != 0
    assert state(host, "serve.service") != "active"
    refused = guarded.ask("restart-hardened", service="serve.service")
    assert refused["refused"] == "policy"
    guarded.undo(step, before)
    assert state(host, "serve.service") == "active"
    assert not list((host.root / "run/systemd/system").glob("serve.service.d*"))


def test_a_service_is_as_before_wherever_the_guard_is_killed(guarded: Guarded) -> None:
    step = guarded.plan("stop-service", service="serve.service")
    host = guarded.host

    def same() -> Any:
        return state(host, "serve.service"), shown(host, "serve.service", "DropInPaths")

    assert guarded.walk(step, same) >= 4


def test_what_was_put_there_again_is_seen(guarded: Guarded) -> None:
    host = guarded.host
    step = guarded.plan("stop-service", service="serve.service")
    before = guarded.look(step)
    guarded.do(step, before)
    host.run("rm", "-r", "/run/systemd/system/serve.service.d")
    host.run("systemctl", "daemon-reload")
    assert not guarded.holds(step, before)
    host.run("systemctl", "start", "serve.service")
    assert not guarded.holds(step, before)
    guarded.do(step, before)
    assert guarded.holds(step, before)
    guarded.undo(step, before)


def test_starting_ends_what_keeps_a_service_down(guarded: Guarded) -> None:
    host = guarded.host
    stop = guarded.plan("stop-service", service="serve.service")
    stopped = guarded.look(stop)
    guarded.do(stop, stopped)
    start = guarded.plan("start-service", service="serve.service")
    before = guarded.look(start)
    guarded.do(start, before)
    assert state(host, "serve.service") == "active"
    assert not guarded.holds(stop, stopped)
    guarded.undo(start, before)
    assert guarded.holds(stop, stopped)
    guarded.undo(stop, stopped)
    assert state(host, "serve.service") == "active"


def test_a_service_that_hears_no_signal_is_ended_by_force(guarded: Guarded) -> None:
    host = guarded.host
    unit(host, "stubborn.service", "[Service]\nKillMode=none\nExecStart=/bin/sleep infinity\n")
    host.run("systemctl", "start", "stubborn.service")
    pid = shown(host, "stubborn.service", "MainPID")
    step = guarded.plan("stop-service", service="stubborn.service")
    before = guarded.look(step)
    assert guarded.do(step, before)["killed"] == 1
    assert host.run("kill", "-0", pid, check=False).returncode != 0


def test_what_carries_the_way_in_is_never_stopped(guarded: Guarded) -> None:
    """Neither by its name, nor by an alias, nor as what another unit needs. Threats: 77."""
    host = guarded.host
    for name in ("ssh.service", "sshd.service", "systemd-logind.service", "dbus.service"):
        assert guarded.ask("stop-service", service=name)["refused"] == "floor"
    unit(host, "needed.service", "[Service]\nExecStart=/bin/sleep infinity\n")
    unit(host, "ssh.service.d/need.conf", "[Unit]\nRequires=needed.service\n")
    try:
        refused = guarded.ask("stop-service", service="needed.service")
        assert refused["refused"] == "floor"
        assert "ssh.service needs needed.service" in refused["words"]
    finally:
        host.run("rm", "-r", "/etc/systemd/system/ssh.service.d")
        host.run("systemctl", "daemon-reload")
    unit(host, "needed.service", "[Service]\nExecStart=/usr/sbin/sshd -D -p 2222\n")
    assert guarded.ask("stop-service", service="needed.service")["refused"] == "floor"
    unit(host, "needed.service", "[Service]\nExecStart=/bin/sleep 1\n[Install]\nAlias=x.service\n")


# ---- a sandbox profile

PROFILE = [
    "NoNewPrivileges=yes", "PrivateTmp=yes", "ProtectSystem=strict", "ProtectHome=yes",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX", "CapabilityBoundingSet=",
    "LockPersonality=yes", "RestrictSUIDSGID=yes", "UMask=0077", "TasksMax=100",
    "MemoryMax=500M", "SystemCallArchitectures=native", "SystemCallFilter=@system-service",
]  # fmt: skip


def test_a_service_runs_under_its_profile(guarded: Guarded) -> None:
    host = guarded.host
    guarded.policy["profiles"] = {"serve.service": PROFILE}
    step = guarded.plan("restart-hardened", service="serve.service")
    before = guarded.look(step)
    guarded.do(step, before)
    assert guarded.holds(step, before)
    status = host.run("cat", f"/proc/{shown(host, 'serve.service', 'MainPID')}/status").stdout
    assert "NoNewPrivs:\t1" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "Seccomp:\t2" in status
    guarded.undo(step, before)
    status = host.run("cat", f"/proc/{shown(host, 'serve.service', 'MainPID')}/status").stdout
    assert "NoNewPrivs:\t0" in status
    assert not (host.root / "etc/systemd/system/serve.service.d").exists()


def test_a_profile_is_as_before_wherever_the_guard_is_killed(guarded: Guarded) -> None:
    host = guarded.host
    guarded.policy["profiles"] = {"serve.service": PROFILE[:4]}
    step = guarded.plan("restart-hardened", service="serve.service")

    def same() -> Any:
        pid = shown(host, "serve.service", "MainPID")
        status = host.run("cat", f"/proc/{pid}/status").stdout
        return "NoNewPrivs:\t0" in status, shown(host, "serve.service", "DropInPaths")

    assert guarded.walk(step, same) >= 4


def test_a_profile_that_breaks_the_service_is_taken_back(guarded: Guarded) -> None:
    host = guarded.host
    guarded.policy["profiles"] = {"serve.service": ["InaccessiblePaths=/usr/bin/python3.11"]}
    step = guarded.plan("restart-hardened", service="serve.service")
    before = guarded.look(step)
    failed = guarded.call(op="do", before=before, **step)
    assert "serve.service" in failed["failed"]
    guarded.undo(step, before)
    assert state(host, "serve.service") == "active"


def test_a_directive_that_does_not_hold_is_told(guarded: Guarded) -> None:
    host = guarded.host
    unit(host, "serve.service.d/90-own.conf", "[Service]\nNoNewPrivileges=no\n")
    guarded.policy["profiles"] = {"serve.service": ["NoNewPrivileges=yes"]}
    step = guarded.plan("restart-hardened", service="serve.service")
    before = guarded.look(step)
    failed = guarded.call(op="do", before=before, **step)
    assert "runs without NoNewPrivileges" in failed["failed"]
    guarded.undo(step, before)
    assert (host.root / "etc/systemd/system/serve.service.d/90-own.conf").exists()
    host.run("rm", "-r", "/etc/systemd/system/serve.service.d")
    host.run("systemctl", "daemon-reload")


# ---- processes


def started(host: LabHost, pid: int) -> dict[str, Any]:
    stat = host.run("cat", f"/proc/{pid}/stat").stdout
    exe = host.run("readlink", f"/proc/{pid}/exe").stdout.strip()
    return {"pid": pid, "start_time": int(stat.rpartition(")")[2].split()[19]), "exe": exe}


def ignored(host: LabHost, pid: int) -> int:
    """The signals that a process ignores, as the kernel's mask."""
    status = host.run("cat", f"/proc/{pid}/status").stdout
    return int(status.partition("SigIgn:")[2].split()[0], 16)


def running(host: LabHost, *argv: str) -> int:
    """A process of the host's own, by its number there."""
    host.run("systemd-run", "--quiet", "--unit=tried", "--collect", *argv)
    return int(shown(host, "tried.service", "MainPID"))


def test_that_very_process_is_ended(guarded: Guarded) -> None:
    host = guarded.host
    pid = running(host, "/bin/sleep", "infinity")
    wait_until(lambda: started(host, pid)["exe"].endswith("sleep"), 10, "it runs sleep")
    params = started(host, pid)
    wrong = {**params, "start_time": params["start_time"] + 1}
    assert guarded.ask("kill-process", **wrong)["refused"] == "no-process"
    other = {**params, "exe": "/usr/bin/other"}
    told = guarded.ask("kill-process", **other)["ok"]
    assert told["plan"]["steps"][0]["args"] == {**params, "named": "/usr/bin/other"}
    found = guarded.ask("kill-process", **params)["ok"]
    assert any("tried.service" in line for line in found["preview"]["effect"])
    step = found["plan"]["steps"][0]
    assert guarded.do(step, guarded.look(step)) == {"ended": "SIGTERM"}
    assert guarded.holds(step, {})
    assert guarded.do(step, {}) == {"ended": "it had ended before"}


def test_a_process_that_hears_no_signal_is_killed(guarded: Guarded) -> None:
    host = guarded.host
    code = "import signal,time; signal.signal(15, 1); print('deaf', flush=True); time.sleep(900)"
    pid = running(host, "/usr/bin/python3", "-c", code)
    term = 1 << (signal.SIGTERM - 1)
    wait_until(lambda: bool(ignored(host, pid) & term), 10, "it ignores SIGTERM")
    step = guarded.plan("kill-process", **started(host, pid))
    assert guarded.do(step, guarded.look(step)) == {"ended": "SIGKILL"}


def test_processes_that_carry_the_host_are_never_ended(guarded: Guarded) -> None:
    host = guarded.host
    init = started(host, 1)
    assert guarded.ask("kill-process", **init)["refused"] in ("floor", "parameters")
    for name in ("ssh.service", "systemd-journald.service", "dbus.service"):
        found = started(host, int(shown(host, name, "MainPID")))
        assert guarded.ask("kill-process", **found)["refused"] == "floor", name


# ---- accounts


@pytest.fixture(scope="module")
def key(guarded: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A login key that alice and bob accept."""
    path = tmp_path_factory.mktemp("keys") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    public = path.with_suffix(".pub").read_text(encoding="ascii").strip()
    for user in ("alice", "bob"):
        guarded.host.add_account(user, public)
    guarded.host.run("chpasswd", stdin="alice:a long password\n")
    guarded.host.run("usermod", "-p", "*", "bob")  # without PAM, sshd refuses who has "!"
    return path


def ssh(host: LabHost, key: Path, user: str, *argv: str) -> list[str]:
    return [
        "ssh", "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-F", "none",
        "-o", f"UserKnownHostsFile={key.parent}/known", "-o", "StrictHostKeyChecking=no",
        "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", f"{user}@{host.address}", *argv,
    ]  # fmt: skip


def lets_in(host: LabHost, key: Path, user: str) -> bool:
    done = subprocess.run(
        ssh(host, key, user, "echo", "in"), check=False, capture_output=True, text=True, timeout=60
    )
    return done.stdout == "in\n"


def shadow(host: LabHost, user: str) -> str:
    return host.run("getent", "shadow", user).stdout


def sleepers(host: LabHost, user: str) -> list[str]:
    return host.run("pgrep", "-u", user, check=False).stdout.split()


@pytest.mark.parametrize("pam", ["yes", "no"])
def test_a_blocked_account_is_out_and_stays_out(guarded: Guarded, key: Path, pam: str) -> None:
    """With a key and a session, and with PAM as without it; a bystander is not touched."""
    host = guarded.host
    (host.root / "etc/ssh/sshd_config.d/50-test.conf").write_text(f"UsePAM {pam}\n")
    host.run("systemctl", "reload", "ssh")
    wait_until(lambda: lets_in(host, key, "alice"), 20, "alice gets in")
    was = shadow(host, "alice")
    session = subprocess.Popen(
        ssh(host, key, "alice", "setsid sleep 1000 & echo ready; exec sleep 1000"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert session.stdout is not None
    assert session.stdout.readline() == "ready\n"
    found = guarded.ask("block-user", user="alice")["ok"]
    assert any("process" in line for line in found["preview"]["effect"])
    step = found["plan"]["steps"][0]
    before = guarded.look(step)
    assert guarded.do(step, before) == {"state": "blocked", "keys": "sshd"}
    session.communicate(timeout=20)
    assert session.returncode != 0
    assert sleepers(host, "alice") == []
    assert not lets_in(host, key, "alice")
    assert lets_in(host, key, "bob")
    assert host.run("su", "bob", "-c", "su alice -c true", check=False).returncode != 0
    assert guarded.holds(step, before)
    guarded.undo(step, before)
    assert shadow(host, "alice") == was
    wait_until(lambda: lets_in(host, key, "alice"), 20, "alice gets in again")
    assert not guarded.holds(step, before)
    (host.root / "etc/ssh/sshd_config.d/50-test.conf").unlink()
    host.run("systemctl", "reload", "ssh")
    wait_until(host.answers, 20, "sshd listens again")


def test_an_account_is_as_before_wherever_the_guard_is_killed(guarded: Guarded, key: Path) -> None:
    host = guarded.host
    step = guarded.plan("block-user", user="alice")

    def same() -> Any:
        sshd = host.run("sshd", "-T", "-C", "user=alice,host=x,addr=1.2.3.4").stdout
        return shadow(host, "alice"), "denyusers" in sshd

    assert guarded.walk(step, same) >= 6
    assert lets_in(host, key, "alice")


def test_an_account_that_was_locked_stays_locked(guarded: Guarded, key: Path) -> None:
    """Undoing puts back what was there, and opens nothing else."""
    host = guarded.host
    host.run("usermod", "-L", "-e", "2040-01-01", "alice")
    was = shadow(host, "alice")
    step = guarded.plan("block-user", user="alice")
    before = guarded.look(step)
    guarded.do(step, before)
    guarded.undo(step, before)
    assert shadow(host, "alice") == was
    host.run("usermod", "-U", "-e", "", "alice")


def test_opening_an_account_ends_the_block(guarded: Guarded, key: Path) -> None:
    host = guarded.host
    host.run("usermod", "-p", "!", "bob")  # keys, and no password at all
    block = guarded.plan("block-user", user="bob")
    blocked = guarded.look(block)
    guarded.do(block, blocked)
    assert not lets_in(host, key, "bob")
    step = guarded.plan("unblock-user", user="bob")
    before = guarded.look(step)
    guarded.do(step, before)
    assert guarded.holds(step, before)
    assert lets_in(host, key, "bob")
    assert not guarded.holds(block, blocked)
    guarded.undo(step, before)
    assert guarded.holds(block, blocked)
    guarded.undo(block, blocked)
    assert lets_in(host, key, "bob")


def test_what_acts_for_a_blocked_account_later_is_told(guarded: Guarded, key: Path) -> None:
    """Its crontab is named, and cron itself asks PAM and runs nothing."""
    host = guarded.host
    host.run("crontab", "-u", "alice", "-", stdin="* * * * * true\n")
    unit(host, "hers.service", "[Service]\nUser=alice\nExecStart=/bin/sleep infinity\n")
    host.run("systemctl", "start", "hers.service")
    found = guarded.ask("block-user", user="alice")["ok"]
    residual = found["preview"]["residual"]
    assert any("/var/spool/cron/crontabs/alice" in line for line in residual)
    assert any("hers.service runs as this account" in line for line in residual)
    step = found["plan"]["steps"][0]
    before = guarded.look(step)
    guarded.do(step, before)
    assert state(host, "hers.service") == "active"
    guarded.undo(step, before)
    host.run("systemctl", "stop", "hers.service")
    host.run("crontab", "-u", "alice", "-r")


def test_accounts_of_the_system_are_never_blocked(guarded: Guarded) -> None:
    assert guarded.ask("block-user", user="root")["refused"] == "floor"
    assert guarded.ask("block-user", user="wfops")["refused"] == "floor"
    assert guarded.ask("block-user", user="daemon")["refused"] == "floor"
    assert guarded.ask("block-user", user="nobody")["refused"] == "floor"
    assert guarded.ask("block-user", user="-R/tmp")["refused"] == "parameters"
    assert guarded.ask("block-user", user="ghost")["refused"] == "no-account"


# ---- the gateway

ROOT = Path(__file__).resolve().parents[2]


def sample() -> dict[str, str]:
    """The files of docs/gateway.md, by path."""
    found: dict[str, str] = {}
    path, lines = "", list[str]()
    for line in (ROOT / "docs/gateway.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("```nginx "):
            path, lines = line.partition(" ")[2].strip(), []
        elif line == "```" and path:
            found[path], path = "\n".join(lines) + "\n", ""
        elif path:
            lines.append(line)
    return found


@pytest.fixture(scope="module")
def gateway(guarded: Guarded) -> str:
    """nginx set up the way docs/gateway.md says; the address of the API."""
    host = guarded.host
    unit(host, "nginx.service.d/own.conf", "[Unit]\nDescription=gateway\n")
    (host.root / "etc/nginx/watchfloor").mkdir(mode=0o700)
    for path, text in sample().items():
        target = host.root / path.lstrip("/")
        target.write_text(text, encoding="utf-8")
        target.chmod(0o600)
    for name in ("keys.conf", "limits.conf"):
        (host.root / "etc/nginx/watchfloor" / name).touch(mode=0o600)
    (host.root / "etc/nginx/sites-enabled/default").unlink()
    guarded.policy["gateway"] = {
        "kind": "nginx", "keys_file": "/etc/nginx/watchfloor/keys.conf",
        "limits_file": "/etc/nginx/watchfloor/limits.conf", "unit": "nginx.service",
    }  # fmt: skip
    host.run("nginx", "-t")
    host.run("systemctl", "restart", "nginx")
    return f"http://{host.address}:8080/"


def answer(url: str, key: str) -> str:
    """The status that nginx answers with."""
    bearer = f"Authorization: Bearer {key}"
    argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", bearer, url]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout


ALPHA, BETA = "sk-sample-alpha", "sk-sample-beta"


def test_a_blocked_client_gets_403_and_others_go_on(guarded: Guarded, gateway: str) -> None:
    assert (answer(gateway, ALPHA), answer(gateway, BETA)) == ("200", "200")
    step = guarded.plan("block-api-key", key="team-alpha")
    assert ALPHA not in json.dumps(step)
    before = guarded.look(step)
    guarded.do(step, before)
    assert (answer(gateway, ALPHA), answer(gateway, BETA)) == ("403", "200")
    assert guarded.holds(step, before)
    guarded.undo(step, before)
    assert (answer(gateway, ALPHA), answer(gateway, BETA)) == ("200", "200")
    assert not guarded.holds(step, before)


def test_a_limited_client_gets_429(guarded: Guarded, gateway: str) -> None:
    step = guarded.plan("limit-api-key", key="team-beta", per_minute=60)
    before = guarded.look(step)
    guarded.do(step, before)
    answers = [answer(gateway, BETA) for _ in range(8)]
    assert answers[0] == "200"
    assert "429" in answers
    assert [answer(gateway, ALPHA) for _ in range(8)] == ["200"] * 8
    block = guarded.plan("block-api-key", key="team-alpha")
    unblocked = guarded.look(block)
    guarded.do(block, unblocked)
    guarded.undo(step, before)
    assert answer(gateway, ALPHA) == "403"  # undone in any order, each stands for itself
    guarded.undo(block, unblocked)
    assert [answer(gateway, BETA) for _ in range(8)] == ["200"] * 8


def test_a_gateway_is_as_before_wherever_the_guard_is_killed(
    guarded: Guarded, gateway: str
) -> None:
    step = guarded.plan("block-api-key", key="team-alpha")
    assert guarded.walk(step, lambda: answer(gateway, ALPHA)) >= 3


def test_a_client_that_the_gateway_does_not_know_is_refused(guarded: Guarded, gateway: str) -> None:
    found = guarded.ask("block-api-key", key="team-gamma")["ok"]
    assert any("knows no client team-gamma" in line for line in found["preview"]["effect"])
    step = found["plan"]["steps"][0]
    failed = guarded.call(op="do", before=guarded.look(step), **step)
    assert "knows no client team-gamma" in failed["failed"]
    assert ALPHA not in json.dumps(found) + json.dumps(failed)


def test_a_gateway_whose_configuration_is_broken_is_left_alone(
    guarded: Guarded, gateway: str
) -> None:
    """The words of nginx quote the line that is wrong, where a key may stand."""
    host = guarded.host
    broken = host.root / "etc/nginx/conf.d/broken.conf"
    broken.write_text(f'what "Bearer {ALPHA}";\n')
    step = guarded.plan("block-api-key", key="team-alpha")
    failed = guarded.call(op="do", before=guarded.look(step), **step)
    broken.unlink()
    assert "does not accept its configuration" in failed["failed"]
    assert ALPHA not in json.dumps(failed)
    assert answer(gateway, ALPHA) == "200"


# ---- packages


def package(host: LabHost, name: str, version: str, depends: str = "") -> None:
    """A package built on the host, put into its own repository."""
    folder = host.root / "srv/build" / f"{name}_{version}"
    (folder / "DEBIAN").mkdir(parents=True)
    (folder / "usr/share" / name).mkdir(parents=True)
    (folder / "usr/share" / name / "version").write_text(version)
    control = (
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\n"
        f"Description: tried\n" + (f"Depends: {depends}\n" if depends else "")
    )
    (folder / "DEBIAN/control").write_text(control)
    repo = host.root / "srv/repo"
    repo.mkdir(exist_ok=True)
    file = f"{name}_{version}_all.deb"
    host.run(
        "dpkg-deb", "--root-owner-group", "-b", f"/srv/build/{folder.name}", f"/srv/repo/{file}"
    )
    data = (repo / file).read_bytes()
    entry = (
        f"{control}Filename: ./{file}\nSize: {len(data)}\n"
        f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n"
    )
    with (repo / "Packages").open("a", encoding="utf-8") as packages:
        packages.write(entry)


@pytest.fixture(scope="module")
def repository(guarded: Guarded) -> Guarded:
    """``tiny`` in two versions, and a newer one that needs more than was named."""
    host = guarded.host
    package(host, "tiny", "1.0")
    host.run("sh", "-c", "rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")
    line = "deb [trusted=yes] copy:/srv/repo ./\n"
    (host.root / "etc/apt/sources.list.d/own.list").write_text(line)
    host.run("apt-get", "update")
    host.run("apt-get", "install", "-y", "tiny=1.0")
    guarded.policy["packages"] = ["tiny"]
    return guarded


def version(host: LabHost) -> str:
    return (host.root / "usr/share/tiny/version").read_text()


def test_a_package_comes_to_the_version_that_was_named(repository: Guarded) -> None:
    """Also where the host has not read its repositories since that version came."""
    host = repository.host
    package(host, "tiny", "1.1")
    package(host, "tiny", "1.2")
    wanted = [{"name": "tiny", "version": "1.1"}]
    found = repository.ask("apply-update", packages=wanted)["ok"]
    assert "tiny 1.0 -> 1.1" in found["preview"]["effect"]
    assert any("repositories are read again" in line for line in found["preview"]["effect"])
    step = found["plan"]["steps"][0]
    before = repository.look(step)
    assert before == {"versions": [["tiny", "1.0"]]}
    assert repository.do(step, before) == {"versions": [["tiny", "1.1"]]}
    assert version(host) == "1.1"
    assert repository.do(step, before) == {"versions": [["tiny", "1.1"]]}
    found = repository.ask("apply-update", packages=[{"name": "tiny", "version": "1.2"}])["ok"]
    assert any("Inst tiny [1.1] (1.2" in line for line in found["preview"]["effect"])


def test_an_update_that_was_cut_short_is_finished(repository: Guarded) -> None:
    """Unpacked and not configured is where a killed package manager leaves a package."""
    host = repository.host
    package(host, "tiny", "1.3")
    step = repository.plan("apply-update", packages=[{"name": "tiny", "version": "1.3"}])
    before = repository.look(step)
    host.run("dpkg", "--unpack", "/srv/repo/tiny_1.3_all.deb")
    assert not repository.holds(step, before)
    assert repository.do(step, before) == {"versions": [["tiny", "1.3"]]}
    assert repository.holds(step, before)


def test_an_update_does_nothing_that_was_not_named(repository: Guarded) -> None:
    host = repository.host
    package(host, "extra", "1.0")
    package(host, "tiny", "2.0", depends="extra")
    host.run("apt-get", "update")
    for wanted, why in (("2.0", "would not|extra"), ("9.9", "would not"), ("1.0", "would not")):
        step = repository.plan("apply-update", packages=[{"name": "tiny", "version": wanted}])
        failed = repository.call(op="do", before=repository.look(step), **step)
        assert any(part in failed["failed"] for part in why.split("|")), failed
        assert version(host) == "1.3"
    refused = repository.ask("apply-update", packages=[{"name": "bash", "version": "6"}])
    assert refused["refused"] == "policy"
    refused = repository.ask("apply-update", packages=[{"name": "extra", "version": "1.0"}])
    assert refused["refused"] == "no-package"


# ---- evidence


def test_evidence_is_packed_and_signed_by_the_host(guarded: Guarded, tmp_path: Path) -> None:
    host = guarded.host
    audit = "/var/lib/watchfloor/guard/audit"
    host.run("install", "-d", "-m", "700", audit, "/var/lib/watchfloor/guard/evidence")
    if not (host.root / audit.lstrip("/") / "audit_key").exists():
        host.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{audit}/audit_key")
    pid = running(host, "/bin/sleep", "infinity")
    host.run("logger", "a line for the evidence")
    parts = ["journal", "processes", "guard", "sockets", "files", "modules", "logins", "kernel",
             "network", "gpu"]  # fmt: skip
    step = guarded.plan("collect-evidence", since_s=3600, include=parts)
    before = guarded.look(step)
    found = guarded.call(op="do", before=before, **step)
    result, progress = found["ok"], found["progress"]
    assert progress[0][2] == "collects processes"
    path = host.root / "var/lib/watchfloor/guard/evidence" / result["name"]
    data = path.read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (result["size"], result["sha256"])
    assert path.stat().st_mode & 0o077 == 0
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        held = {}
        for member in tar.getmembers():
            stream = tar.extractfile(member)
            assert stream is not None
            held[member.name.rpartition("/")[2]] = stream.read()
    manifest = json.loads(held["manifest.json"])
    assert manifest["parts"][0]["name"] == "processes"
    for part in manifest["parts"]:
        assert hashlib.sha256(held[part["name"]]).hexdigest() == part["sha256"]
    rows = [json.loads(line) for line in held["processes"].splitlines()]
    assert any(row["pid"] == pid and row["argv"] == ["/bin/sleep", "infinity"] for row in rows)
    assert b"a line for the evidence" in held["journal"]
    assert b":8000" in held["sockets"]
    assert b"PRIVATE KEY" not in b"".join(held.values())
    public = (host.root / audit.lstrip("/") / "audit_key.pub").read_text().strip()
    (tmp_path / "signers").write_text(f"host {public}\n")
    (tmp_path / "sig").write_bytes(held["manifest.json.sig"])
    verify = ["ssh-keygen", "-Y", "verify", "-I", "host", "-n", "evidence-v1@watchfloor"]
    subprocess.run(
        [*verify, "-f", str(tmp_path / "signers"), "-s", str(tmp_path / "sig")],
        input=held["manifest.json"], check=True, capture_output=True,
    )  # fmt: skip
    host.run("systemctl", "stop", "tried.service")


def test_collecting_goes_on_after_a_kill_and_leaves_nothing_half_done(guarded: Guarded) -> None:
    host = guarded.host
    folder = host.root / "var/lib/watchfloor/guard/evidence"
    for pack in folder.glob("*.tar.gz"):
        pack.unlink()
    step = guarded.plan("collect-evidence", since_s=60, include=["modules", "processes"])

    def same() -> Any:
        return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))

    assert guarded.walk(step, same) >= 4
