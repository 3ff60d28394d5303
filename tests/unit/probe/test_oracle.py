"""psutil as oracle: the same processes, memory, listeners and connections at the same moment."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from console.hostside.probe.denied import Denied
from console.hostside.probe.flows import Flows, network
from console.hostside.probe.listeners import Listeners
from console.hostside.probe.openers import Openers, Weights
from console.hostside.probe.owners import Holdings, look
from console.hostside.probe.place import Place
from console.hostside.probe.proctable import ProcessTable
from console.hostside.probe.sockdiag import SockDiag
from console.hostside.probe.users import Users
from tests.support.probe import running

CALM = "import sys, time; print(flush=True); time.sleep(600)"
SLEEP = [os.path.realpath(sys.executable), "-c", CALM]


class Readers:
    """The readers as the lanes wire them, with a clock that is moved by hand."""

    def __init__(self, place: Place | None = None) -> None:
        self.now = 1000.0
        self.place = place or Place(mono=lambda: self.now)
        self.denied = Denied()
        self.users = Users(self.place)
        self.table = ProcessTable(self.place, self.users, self.denied, "salt")
        self.table.btime = int(psutil.boot_time())
        self.table._own = 0  # what this test starts is not what a probe starts
        self.diag = SockDiag(self.place)
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.listeners = Listeners(
            self.place, self.diag, self.table, self.held, self.event, self.denied
        )
        self.flows = Flows(self.place, self.diag, self.table, self.held, self.denied)
        self.wanted: Weights | None = None

    def event(self, kind: str, key: str, facts: dict[str, Any]) -> None:
        self.events.append((kind, key, facts))

    def held(self, few: Iterable[int] | None = None) -> Holdings:
        if self.wanted is not None:
            self.wanted.walk()
        maybe = self.wanted.maybe if self.wanted is not None else None
        everyone = self.table.by_pid
        chosen = everyone if few is None else few
        inodes = self.wanted.inodes if self.wanted is not None else ()
        return look(self.place, [everyone[pid] for pid in chosen], maybe, inodes)


@pytest.fixture
def readers() -> Iterator[Readers]:
    made = Readers()
    yield made
    made.diag.close()


@pytest.fixture
def child() -> Iterator[psutil.Popen]:
    with psutil.Popen(SLEEP, stdout=subprocess.PIPE) as process:
        try:
            process.stdout.readline()
            while process.status() != psutil.STATUS_SLEEPING:
                pass
            yield process
        finally:
            process.kill()


def test_the_process_set_is_psutils(readers: Readers) -> None:
    for _ in range(20):
        before = set(psutil.pids())
        readers.table.scan()
        after = set(psutil.pids())
        ours = set(readers.table.by_pid)
        if before == after:
            break
    stable = before & after
    assert stable <= ours <= before | after


def test_a_row_is_what_psutil_says(readers: Readers, child: psutil.Popen) -> None:
    readers.table.scan()
    row = readers.table.rows()[child.pid]
    with child.oneshot():
        assert row[:4] == [child.pid, os.getpid(), child.uids().effective, child.username()]
        assert row[4] == pytest.approx(child.create_time(), abs=1.1)
        assert row[5] == child.name()
        assert row[6] == " ".join(child.cmdline())
        assert row[10] == child.num_threads()
        assert row[13] == child.exe()
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{child.pid}/status").read_text().splitlines()
    )
    assert row[15] == status["CapEff"].strip()
    assert row[16:19] == [int(status["Seccomp"]), bool(int(status["NoNewPrivs"])), 0]
    assert len(row[21]) == 16


def test_memory_is_psutils(readers: Readers, child: psutil.Popen) -> None:
    # The kernel's cheap counter may lag behind by up to 64 pages for each processor.
    slack = 64 * (os.cpu_count() or 1) * os.sysconf("SC_PAGESIZE") // 1024
    readers.table.scan()
    assert readers.table.by_pid[child.pid].rss_kib == pytest.approx(
        child.memory_info().rss // 1024, abs=slack
    )


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, in user and in system."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def test_processor_time_is_measured_over_the_period(readers: Readers) -> None:
    with running([*SLEEP[:2], "while True: pass"]) as busy:
        readers.table.scan()
        used = cpu_seconds(busy.pid)
        deadline = time.monotonic() + 60
        while (least := cpu_seconds(busy.pid) - used) < 0.5:
            assert time.monotonic() < deadline, "the busy process gets no processor time"
        readers.now += 2.0
        readers.table.scan()
        most = cpu_seconds(busy.pid) - used
        tick = 1 / os.sysconf("SC_CLK_TCK")  # the first scan may have seen one less
        spent = readers.table.by_pid[busy.pid].pct / 100 * 2.0
        assert least - tick < spent < most + 2 * tick
        assert sum(readers.table.summary()["by_user"].values()) == len(readers.table.by_pid)
        assert readers.table.summary()["total"] == len(readers.table.by_pid)
        readers.table.by_pid = {busy.pid: readers.table.by_pid[busy.pid]}
        assert readers.table.summary()["top_cpu"][0][0] == busy.pid


def test_a_quiet_process_keeps_its_row(readers: Readers, child: psutil.Popen) -> None:
    readers.table.scan()
    first = readers.table.rows()[child.pid]
    for _ in range(4):
        readers.now += 10.0
        readers.table.refresh(True)
        readers.table.scan()
    assert readers.table.by_pid[child.pid].pct == 0.0
    assert readers.table.rows()[child.pid] is first


def wait_for_a_tick(pid: int) -> None:
    """Return when the process has used processor time that the kernel counts in its ticks."""
    spent = cpu_seconds(pid)
    deadline = time.monotonic() + 60
    while cpu_seconds(pid) == spent:
        assert time.monotonic() < deadline, "the busy process gets no processor time"


def test_an_idle_process_is_read_in_turn_and_a_busy_one_each_time(readers: Readers) -> None:
    with running([*SLEEP[:2], "while True: pass"]) as busy:
        wait_for_a_tick(busy.pid)
        readers.table.scan()
        seen = []
        for _ in range(12):
            readers.now += 10.0
            wait_for_a_tick(busy.pid)  # the clock that is moved by hand runs ahead of the kernel's
            idle = [p for p in readers.table.by_pid.values() if readers.now - p.busy > 60]
            before = {p.pid: p.at for p in idle}
            readers.table.scan(everyone=False)
            alive = [p for p in idle if p.pid in readers.table.by_pid]
            if alive:
                seen.append(sum(p.at > before[p.pid] for p in alive) / len(alive))
            assert readers.table.by_pid[busy.pid].at == readers.now
    assert seen
    assert sum(seen) / len(seen) == pytest.approx(1 / 3, abs=0.15)


def test_what_is_new_is_told_once_and_what_ended_is_forgotten(readers: Readers) -> None:
    readers.table.look()
    with running(SLEEP) as born:
        new, count = readers.table.look()
        assert born.pid in [process.pid for process in new]
        assert count == len(readers.table.by_pid)
        facts = readers.table.born(next(p for p in new if p.pid == born.pid))
        assert facts["ppid"] == os.getpid()
        assert born.pid not in [process.pid for process in readers.table.look()[0]]
        described = readers.table.describe(born.pid)
        assert (described["pid"], described["uid"]) == (born.pid, os.geteuid())
    readers.table.look()
    assert born.pid not in readers.table.by_pid
    assert readers.table.describe(born.pid) == {}


def psutil_listeners() -> set[tuple[str, str, int, int | None]]:
    found = set()
    for one in psutil.net_connections("inet"):
        tcp = one.type == socket.SOCK_STREAM
        if one.status == psutil.CONN_LISTEN if tcp else not one.raddr:
            assert one.laddr
            address, port = one.laddr.ip, one.laddr.port
            found.add(("tcp" if tcp else "udp", address.replace("::ffff:", ""), port, one.pid))
    return found


def test_the_listeners_are_psutils(readers: Readers) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)),
        socket.create_server(("::1", 0), family=socket.AF_INET6),
        socket.socket(socket.AF_INET6) as mapped,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        mapped.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        mapped.bind(("::ffff:127.0.0.1", 0))
        mapped.listen()
        udp.bind(("127.0.0.1", 0))
        mine = os.getpid()
        for _ in range(20):
            before = psutil_listeners()
            readers.table.look()
            readers.listeners.sample()
            if psutil_listeners() == before:
                break
        rows = readers.listeners.rows.values()
        ours = {(row[1], row[2], row[3], row[5]) for row in rows}
        assert {one for one in ours if one[3] == mine} == {o for o in before if o[3] == mine}
        assert {one[:3] for one in before} == {one[:3] for one in ours}


def test_a_listener_comes_and_goes_with_one_event_each(readers: Readers) -> None:
    readers.table.look()
    readers.listeners.sample()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        key = f"tcp/127.0.0.1:{port}"
        assert readers.listeners.sample()
        assert port in readers.listeners.ports
        readers.listeners.sample()
    assert readers.listeners.sample()
    mine = [event for event in readers.events if event[1] == key]
    assert [kind for kind, _, _ in mine] == ["listener.new", "listener.gone"]
    facts = mine[0][2]
    assert (facts["proto"], facts["port"], facts["pid"]) == ("tcp", port, os.getpid())
    assert facts == mine[1][2]


def test_a_client_that_waits_for_one_datagram_is_no_listener(readers: Readers) -> None:
    readers.table.look()
    readers.listeners.sample()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        key = f"udp/127.0.0.1:{udp.getsockname()[1]}"
        readers.listeners.sample()
        assert key not in readers.listeners.rows
        readers.listeners.sample()
        assert key in readers.listeners.rows


def test_an_owner_that_ends_leaves_the_socket_to_its_child(readers: Readers) -> None:
    code = (
        "import os,socket,sys,time\n"
        "s=socket.create_server(('127.0.0.1',0)); pid=os.fork()\n"
        "print(s.getsockname()[1], pid, flush=True) if pid else time.sleep(600)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [SLEEP[0], "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        port, heir = map(int, parent.stdout.readline().split())
        key = f"tcp/127.0.0.1:{port}"
        try:
            readers.table.look()
            readers.listeners.sample()
            assert readers.listeners.rows[key][5] == parent.pid
            parent.stdin.close()
            parent.wait(10)
            readers.table.look()
            assert readers.listeners.sample()
            assert readers.listeners.rows[key][5] == heir
        finally:
            os.kill(heir, 9)


def test_bytes_of_a_connection_are_counted_since_the_start(readers: Readers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            other, _ = server.accept()
            with other:
                client.sendall(b"before")
                assert other.recv(100) == b"before"
                readers.table.look()
                readers.listeners.sample()
                readers.flows.sample(readers.listeners)
                client.sendall(b"x" * 50_000)
                left = 50_000
                while left:
                    left -= len(other.recv(left))
                readers.now += 10.0
                rows = readers.flows.sample(readers.listeners)
                pid = os.getpid()
                out = rows[f"out/{pid}/127.0.0.1/{port}"]
                back = rows[f"in/{pid}/127.0.0.1/{port}"]
        assert (out[1], out[2], out[3], out[5], out[7]) == ("out", "127.0.0.1", port, pid, 1)
        assert (out[8], out[9], out[10]) == (50_000, 0, 5000.0)
        assert (back[8], back[9], back[11]) == (0, 50_000, 5000.0)
        assert out[12] is True
        readers.now += 10.0
        rows = readers.flows.sample(readers.listeners)
        assert rows[f"out/{pid}/127.0.0.1/{port}"][7:11] == [0, 50_000, 0, 0.0]
        readers.now += 400.0
        assert f"out/{pid}/127.0.0.1/{port}" not in readers.flows.sample(readers.listeners)


def test_several_peers_of_one_network_are_one_flow(readers: Readers) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104  # on loopback only
        port = server.getsockname()[1]
        readers.table.look()
        readers.listeners.sample()
        clients = []
        for last in (1, 2, 3):
            client = socket.socket()
            client.bind((f"127.9.8.{last}", 0))
            client.connect(("127.0.0.1", port))
            clients += [client, server.accept()[0]]
        rows = readers.flows.sample(readers.listeners)
        for one in clients:
            one.close()
        assert rows[f"in/{os.getpid()}/127.9.8.0/24/{port}"][7] == 3


def test_networks() -> None:
    assert network("10.1.2.3") == "10.1.2.0/24"
    assert network("2001:db8:1:2::9") == "2001:db8:1::/48"
    assert network("::1") == "::/48"


def test_openers_of_weights_by_descriptor_by_map_and_by_another_path(
    readers: Readers, tmp_path: Path
) -> None:
    models, elsewhere = tmp_path / "models", tmp_path / "bind"
    models.mkdir()
    elsewhere.mkdir()
    weights = models / "model-00001.safetensors"
    weights.write_bytes(b"w" * 8192)
    os.link(weights, elsewhere / weights.name)  # as seen from a container
    (elsewhere / "other.safetensors").write_bytes(b"o")
    code = (
        "import mmap,os,sys\n"
        "f=open(sys.argv[1],'r+b'); g=open(sys.argv[2],'rb'); h=open(sys.argv[3],'rb')\n"
        "m=mmap.mmap(g.fileno(),0,prot=mmap.PROT_READ); g.close()\n"
        "print(flush=True); sys.stdin.read()"
    )
    readers.wanted = Weights(readers.place, [str(models)])
    openers = Openers(readers.place, readers.wanted, readers.table, readers.denied, readers.event)
    readers.table.look()
    assert openers.sample(readers.held) == {}
    names = [str(weights), str(elsewhere / weights.name), str(elsewhere / "other.safetensors")]
    with subprocess.Popen(
        [SLEEP[0], "-c", code, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        readers.table.look()
        rows = openers.sample(readers.held)
        again = openers.sample(readers.held)
        reader.kill()
    found = {(row[1], row[4], row[5], row[6]) for row in rows.values()}
    assert found == {
        (reader.pid, str(weights), "fd", True),
        (reader.pid, str(weights), "map", False),
    }
    assert rows == again
    assert sorted(kind for kind, _, _ in readers.events) == ["weights.opened"] * 2


def test_files_answer_where_netlink_does_not(readers: Readers) -> None:
    by_files = SockDiag(Place(proc="/proc/self/../../proc"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        name = server.getsockname()
        for diag in (by_files, readers.diag):
            assert name in {(one.local, one.port) for one in diag.listeners()}
    assert not by_files.counts_bytes
