"""Tier 2 on a real host: what its key and its sensor may do, and above all what they may not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.config.loader import load
from console.engine.build import local_engine
from console.hostside.probe.inventory.firewall import normalised
from tests.lab.enrolled import Enrolled
from tests.lab.test_hosts import until
from tests.support.lab import LabHost, LabUnavailable, wait_until
from tests.support.sshd import Agent, free_port

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

HOLDER = """\
import socket, time, mmap
listener = socket.create_server(("0.0.0.0", 8765))
with open("/srv/models/m.safetensors", "rb") as weights:
    mapped = mmap.mmap(weights.fileno(), 0, prot=mmap.PROT_READ)
time.sleep(3600)
"""
DECLARED = '{"sources": [], "weights": ["/srv/models"], "identifiers": []}\n'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enrolled]:
    """lab4 at tier 2, with a process of root that listens and holds weights."""
    try:
        host = LabHost(4).__enter__()
    except LabUnavailable as why:
        pytest.skip(f"no lab host: {why}")
    try:
        lab = Enrolled(host, tmp_path_factory.mktemp("sensor"))
        lab.enroll()
        (host.root / "etc/watchfloor/probe.json").write_text(DECLARED)
        (host.root / "srv/models").mkdir(mode=0o700)
        (host.root / "srv/models/m.safetensors").write_bytes(b"w" * 8192)
        host.run("nft", "add", "table", "inet", "wf")
        host.run(
            "nft", "add", "chain", "inet", "wf", "in", "{ type filter hook input priority 0; }"
        )
        host.run("nft", "add", "rule", "inet", "wf", "in", "tcp", "dport", "9", "drop")
        yield lab
    finally:
        host.close()


@pytest.fixture
def holder(lab: Enrolled) -> Iterator[int]:
    """Pid on the host of the process that listens on 8765 and maps the weights."""
    process = lab.host.popen("python3", "-I", "-c", HOLDER)
    try:
        wait_until(
            lambda: ":8765 " in lab.host.run("ss", "-Hltn").stdout, 20, "the process listens"
        )
        yield int(lab.host.run("pgrep", "-f", "create_server").stdout.split()[0])
    finally:
        lab.host.run("pkill", "-KILL", "-f", "create_server", check=False)
        process.communicate(timeout=20)


async def test_owners_openers_sshd_and_firewall_are_seen_without_root(
    lab: Enrolled, holder: int
) -> None:
    lab.enroll()  # again: it keeps what the host declares, and reads the firewall anew
    assert (lab.host.root / "etc/watchfloor/probe.json").read_text() == DECLARED
    engine = local_engine(load(only_file=lab.config, env={}, cwd=lab.folder))
    await engine.start()
    try:
        name = lab.host.name
        view = await until(engine, name, lambda v: v.openers, 60, "an opener")
        assert {row.pid for row in view.openers} == {holder}
        assert {row.path for row in view.openers} == {"/srv/models/m.safetensors"}
        assert "map" in {row.how for row in view.openers}
        owned = {row.port: row for row in view.listeners if row.proto == "tcp"}
        assert owned[8765].pid == holder
        assert owned[22].name in ("sshd", "systemd")
        view = await until(engine, name, lambda v: v.inventory.digests, 60, "digests")
        digests = view.inventory.digests
        assert digests is not None
    finally:
        await engine.stop()
    rules = lab.host.run("nft", "-j", "list", "ruleset").stdout.encode()
    assert (digests.firewall, digests.firewall_rules) == normalised(rules)
    assert digests.firewall_rules == 1
    told = lab.host.run("sshd", "-T").stdout
    assert f"permitrootlogin {digests.sshd['permitrootlogin']}" in told.splitlines()
    # A container has no security file system; a real host has, and then this is empty.
    assert {key for key in view.denied if not key.startswith("kernel.")} == set()
    assert view.hello is not None
    assert view.hello.tier == 2


@pytest.mark.parametrize("command", ["id", "sh -i", "cat /etc/shadow", "$(id)", "-x; id"])
def test_whatever_is_asked_for_the_sensor_answers(lab: Enrolled, command: str) -> None:
    done = lab.ssh("--", command)
    assert json.loads(done.stdout.splitlines()[0])["hello"]["tier"] == 2
    assert "uid=" not in done.stdout + done.stderr


def test_there_is_no_terminal(lab: Enrolled) -> None:
    done = lab.ssh(flags=("-tt",))
    assert "PTY allocation request failed" in done.stderr
    assert (done.returncode, done.stdout) == (255, "")


def test_no_file_comes_or_goes(lab: Enrolled, tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_text("x")
    there = f"wfmon@{lab.host.address}"
    for mode in ("-O", "-s"):  # the old protocol and the subsystem
        for source, target in (
            (str(local), f"{there}:/tmp/copied"),
            (f"{there}:/etc/passwd", str(tmp_path / "copied")),
        ):
            done = subprocess.run(
                ["scp", *lab.ssh_options(), mode, source, target],
                check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=60,
            )  # fmt: skip
            assert done.returncode != 0
    assert not (tmp_path / "copied").exists()
    assert lab.host.run("test", "-e", "/tmp/copied", check=False).returncode == 1


def test_nothing_is_forwarded(lab: Enrolled, tmp_path: Path) -> None:
    done = lab.ssh(flags=("-W", "127.0.0.1:22"))
    assert "administratively prohibited" in done.stderr
    assert "SSH-2.0" not in done.stdout
    port = free_port()
    done = lab.ssh(flags=("-o", "ExitOnForwardFailure=yes", "-R", f"{port}:127.0.0.1:22"))
    assert done.returncode == 255
    assert "remote port forwarding failed" in done.stderr
    lab.key.path.chmod(0o600)
    with Agent(tmp_path / "agent") as agent:
        agent.add(lab.key)
        argv = ["ssh", *lab.ssh_options(), "-A", f"wfmon@{lab.host.address}"]
        session = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"SSH_AUTH_SOCK": str(agent.path), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        try:
            assert session.stdout is not None
            assert session.stdout.readline().startswith(b'{"v":1,')
            relay = lab.host.run("pgrep", "-u", "wfmon", "-f", "relay.py").stdout.split()[0]
            environment = lab.host.run("cat", f"/proc/{relay}/environ").stdout
            assert "SSH_CONNECTION" in environment
            assert "SSH_AUTH_SOCK" not in environment
        finally:
            session.communicate(timeout=20)


def test_the_account_writes_nothing_and_nobody_else_reaches_the_sensor(lab: Enrolled) -> None:
    program = (
        "import os\n"
        "for path in ('~/x', '~/.ssh/x', '~/.ssh/authorized_keys', '/usr/lib/watchfloor/relay.py',"
        " '/etc/watchfloor/probe.json', '/run/watchfloor/x', '/run/watchfloor/firewall.json'):\n"
        "    try:\n"
        "        open(os.path.expanduser(path), 'a')\n"
        "        print('wrote', path)\n"
        "    except OSError:\n"
        "        pass\n"
        "print(os.path.expanduser('~'))\n"
    )
    assert lab.as_account(program).stdout == "/var/lib/watchfloor\n"
    ask = "import socket; socket.socket(socket.AF_UNIX).connect('/run/watchfloor/sensor.sock')"
    assert lab.as_account(ask).returncode == 0
    refused = lab.as_account(ask, user="nobody")
    assert "PermissionError" in refused.stderr
    assert "wfmon" in lab.host.run("getent", "passwd", "wfmon").stdout
    assert lab.host.run("getent", "shadow", "wfmon").stdout.split(":")[1] == "*"


def test_a_thousand_connections_do_not_blind_the_console(lab: Enrolled) -> None:
    program = (
        "import socket, time\n"
        "held = []\n"
        "for number in range(1000):\n"
        "    sock = socket.socket(socket.AF_UNIX)\n"
        "    sock.settimeout(20)\n"
        "    sock.connect('/run/watchfloor/sensor.sock')\n"
        "    held.append(sock)\n"
        "served = 0\n"
        "for sock in held:\n"
        "    try:\n"
        "        served += sock.recv(1) == b'{'\n"
        "    except ConnectionError:\n"
        "        pass\n"
        "print(served)\n"
    )
    done = lab.as_account(program)
    assert done.returncode == 0, done.stderr
    assert 1 <= int(done.stdout) <= 8
    wait_until(lambda: not lab.sensors(), 30, "the sensors end with their connections")
    state = lab.host.run("systemctl", "is-active", "watchfloor-sensor.socket").stdout.strip()
    assert state == "active"
    assert lab.first_frame()["hello"]["tier"] == 2


def test_who_finds_all_connections_taken_is_told_so(lab: Enrolled) -> None:
    program = (
        "import socket, sys\n"
        "held = [socket.socket(socket.AF_UNIX) for _ in range(8)]\n"
        "for sock in held:\n"
        "    sock.connect('/run/watchfloor/sensor.sock')\n"
        "    sock.recv(1)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    wait_until(lambda: not lab.sensors(), 30, "no sensor runs")
    holding = lab.host.popen(
        "runuser", "-u", "wfmon", "--", "sh", "-c",
        'sleep 600 | exec python3 -I -c "$1"', "sh", program,
    )  # fmt: skip
    try:
        assert holding.stdout is not None
        assert holding.stdout.readline() == "held\n"
        done = lab.ssh()
        assert (done.returncode, done.stdout) == (69, "")
        assert "all its connections are taken" in done.stderr
    finally:
        lab.host.run("pkill", "-KILL", "-u", "wfmon", check=False)
        holding.communicate(timeout=20)
    wait_until(lambda: not lab.sensors(), 30, "the sensors end")
    assert lab.first_frame()["hello"]["tier"] == 2


def test_garbage_is_answered_in_few_words(lab: Enrolled) -> None:
    program = (
        "import json, os, socket\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        "sock.settimeout(30)\n"
        "sock.connect('/run/watchfloor/sensor.sock')\n"
        "for _ in range(64):\n"
        "    sock.sendall(os.urandom(65536))\n"
        "sock.sendall(b'x' * 8_000_000)\n"  # a line that never ends
        "sock.sendall(b'\\nguard-doc ../../etc/shadow\\n')\n"
        "sock.shutdown(socket.SHUT_WR)\n"
        "data = b''.join(iter(lambda: sock.recv(65536), b''))\n"
        "frames = [json.loads(line) for line in data.splitlines()]\n"
        "print(sum(e['kind'] == 'probe.bad-verb' for f in frames for e in f.get('e', ())))\n"
    )
    done = lab.as_account(program)
    assert done.returncode == 0, done.stderr
    assert 1 <= int(done.stdout) <= 10


def test_a_sensor_ends_with_its_relay(lab: Enrolled) -> None:
    argv = ["ssh", *lab.ssh_options(), f"wfmon@{lab.host.address}"]
    session = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert session.stdout is not None
        assert session.stdout.readline()
        assert lab.sensors()
        lab.host.run("pkill", "-KILL", "-u", "wfmon", "-f", "relay.py")
        wait_until(lambda: not lab.sensors(), 20, "the sensor has ended")
        assert session.wait(timeout=20) != 0
    finally:
        session.kill()
        session.communicate(timeout=20)


def test_the_sandbox_holds(lab: Enrolled, holder: int) -> None:
    script = (Path(__file__).parent / "intruder.py").read_text()
    lab.host.run("tee", "/usr/lib/intruder.py", stdin=script)
    lab.host.run("sh", "-c", "echo kept >/tmp/planted; chmod 666 /tmp/planted")
    unit = lab.host.run("cat", "/etc/systemd/system/watchfloor-sensor@.service").stdout
    kept = [line for line in unit.splitlines() if not line.startswith(("Exec", "StandardI"))]
    at = kept.index("[Service]") + 1
    run = f"ExecStart=/usr/bin/python3 -I /usr/lib/intruder.py {holder}"
    text = "\n".join([*kept[:at], run, *kept[at:]]).replace(
        "StandardOutput=socket", "StandardOutput=truncate:/root/told"
    )
    lab.host.run("tee", "/run/systemd/system/intruder.service", stdin=text)
    lab.host.run("systemctl", "daemon-reload")
    lab.host.run("systemctl", "start", "--wait", "intruder")
    told = json.loads(lab.host.run("cat", "/root/told").stdout)
    assert told.pop("read shadow") == "read"
    assert "python3" in told.pop("read exe")
    assert len(told) > 70
    assert lab.host.run("cat", "/tmp/planted").stdout == "kept\n"
    assert {name: how for name, how in told.items() if how != "refused"} == {}


@pytest.mark.parametrize("unit", ["watchfloor-sensor@0.service", "watchfloor-firewall.service"])
def test_systemd_judges_the_units_well(lab: Enrolled, unit: str) -> None:
    # 0 is the best, 10 the worst; an ordinary service has 9.6.
    done = lab.host.run("systemd-analyze", "security", "--threshold=30", unit, check=False)
    assert done.returncode == 0, done.stdout[-400:]
