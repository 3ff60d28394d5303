"""Parsers of the kernel's files: right on real ones, calm on anything else."""

from __future__ import annotations

import os
import re
import socket
import struct
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.probe import cgroups, counters, openers, procs, sessions, sockdiag
from console.hostside.probe.place import Place, first_line, slurp_all, words
from console.hostside.probe.users import Users

STAT = b"%d (%s) S 12 1 1 0 -1 4194304 1 2 3 4 70 30 0 0 20 0 7 0 12345 99999 250 1844674407 0 0\n"


@given(st.binary(max_size=40).filter(lambda name: b"\0" not in name))
def test_a_process_may_call_itself_anything(name: bytes) -> None:
    process = procs.Process(77)
    assert procs.parse_pid_stat(STAT % (77, name), process)
    assert (process.ppid, process.ticks, process.threads, process.start) == (12, 100, 7, 12345)
    assert process.rss_kib == 250 * procs.PAGE_KIB
    assert process.name == words(name, 64)


@given(st.binary(max_size=300))
def test_readers_are_calm_on_any_bytes(data: bytes) -> None:
    process = procs.Process(1)
    assert procs.parse_pid_stat(data, process) in (True, False)
    procs.status_uid(procs.parse_status(data))
    cgroups.unit_of(cgroups.container_of(cgroups.cgroup_path(data)))
    counters.parse_stat(data)
    counters.parse_meminfo(data)
    counters.parse_pressure(data)
    counters.parse_net_dev(data)
    counters.parse_diskstats(data, frozenset({"sda"}))
    counters.parse_loadavg(data)
    openers.fd_flags(data)
    openers.parse_maps(data, lambda path: True)
    sessions.parse_utmp(data * 8)
    sessions.parse_logind("c1", data)
    list(sockdiag.parse_proc_net(b"head\n" + data, 0xFFF))


@given(st.binary(max_size=400))
def test_netlink_answers_are_calm_on_any_bytes(data: bytes) -> None:
    counts = sockdiag.Counts()
    try:
        places = list(sockdiag.messages(data))
    except sockdiag.Refused:
        return
    for at, end in places:
        if at >= 0:
            one = sockdiag.read_socket(data, at, {})
            assert 0 <= one.port <= 65_535
            assert len(sockdiag.identity(data, at)) == 56
            assert counts.read(data, at, end) >= (0, 0)


def diag_message(port: int, local: bytes, inode: int, info: bytes = b"") -> bytes:
    body = struct.pack("!BBBBHH16s16s", 2, 1, 0, 0, port, 443, local, local)
    body += b"\0" * 12 + struct.pack("=IIIII", 0, 0, 0, 1000, inode)
    if info:
        body += struct.pack("=HH", 4 + len(info), 2) + info
    return struct.pack("=IHHII", 16 + len(body), 20, 2, 1, 0) + body


@given(
    st.integers(1, 65_535), st.integers(0, 2**32 - 1), st.integers(0, 2**63), st.binary(max_size=64)
)
def test_a_netlink_answer_is_read_back(port: int, inode: int, count: int, tail: bytes) -> None:
    info = b"\0" * 120 + struct.pack("=QQ", count, count // 2) + tail
    local = socket.inet_aton("10.1.2.3") + b"\0" * 12
    message = diag_message(port, local, inode, info)
    message += b"\0" * (-len(message) % 4)
    done = struct.pack("=IHHII", 20, 3, 2, 1, 0) + b"\0" * 4
    (at, end), last = sockdiag.messages(message + done)
    assert last == (-1, -1)
    want = sockdiag.Socket("10.1.2.3", port, "10.1.2.3", 443, 1000, inode)
    assert sockdiag.read_socket(message, at, {}) == want
    assert sockdiag.Counts().read(message, at, end) == (count, count // 2)
    bare = diag_message(port, local, inode)
    assert sockdiag.Counts().read(bare, 16, len(bare)) == (0, 0)
    assert sockdiag.identity(bare, 16) == sockdiag.identity(message, 16)


def test_an_error_of_netlink_is_told() -> None:
    data = struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -1)
    with pytest.raises(sockdiag.Refused) as refused:
        list(sockdiag.messages(data))
    assert refused.value.errno == 1


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (b"0::/user.slice/user-1000.slice/session-3.scope\n", ("", "session-3.scope")),
        (b"0::/system.slice/ssh.service\n", ("", "ssh.service")),
        (
            b"0::/system.slice/docker-" + b"ab" * 32 + b".scope\n",
            ("ab" * 6, "docker-" + "ab" * 32 + ".scope"),
        ),
        (b"12:pids:/docker/" + b"0c" * 32 + b"\n0::/\n", ("0c" * 6, "")),
        (
            b"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/"
            b"cri-containerd-" + b"1d" * 32 + b".scope\n",
            ("1d" * 6, "cri-containerd-" + "1d" * 32 + ".scope"),
        ),
        (
            b"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-"
            + b"2e" * 32
            + b".scope/container\n",
            ("user-1000:" + "2e" * 6, "user@1000.service"),
        ),
        (
            b"0::/machine.slice/systemd-nspawn@lab.service/payload\n",
            ("lab", "systemd-nspawn@lab.service"),
        ),
        (
            b"0::/user.slice/user-1001.slice/user@1001.service/app.slice/vllm.service\n",
            ("", "user@1001.service"),
        ),
        (
            b"0::/user.slice/user-1001.slice/user@1001.service/docker-"
            + b"ab" * 32
            + b".scope/user@0.service\n",
            ("", "user@1001.service"),
        ),
        (
            b"0::/user.slice/user-1001.slice/session-3.scope/docker-" + b"ab" * 32 + b".scope\n",
            ("", "session-3.scope"),
        ),
        (
            b"0::/user.slice/user-1001.slice/user@1001.service/machine.slice/machine-web.scope\n",
            ("", "user@1001.service"),
        ),
        (
            b"0::/machine.slice/systemd-nspawn@lab.service/payload/user.slice/user-7.slice/"
            b"user@7.service/docker-" + b"ab" * 32 + b".scope\n",
            ("lab", "user@7.service"),
        ),
        (b"1:name=systemd:/system.slice/cron.service\n2:cpu:/\n", ("", "cron.service")),
        (b"0::/\n", ("", "")),
        (b"", ("", "")),
    ],
)
def test_units_and_containers(text: bytes, want: tuple[str, str]) -> None:
    path = cgroups.cgroup_path(text)
    assert (cgroups.container_of(path), cgroups.unit_of(path)) == want


def test_proc_net_and_netlink_tell_the_same_listeners() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.socket(socket.AF_INET6) as two:
        two.bind(("::1", 0))
        two.listen()
        diag = sockdiag.SockDiag(Place())
        by_netlink = diag.listeners()
        assert diag.counts_bytes
        diag.close()
        text = slurp_all("/proc/net/tcp") + slurp_all("/proc/net/tcp6").split(b"\n", 1)[1]
        by_file = list(sockdiag.parse_proc_net(text, 1 << sockdiag.LISTEN))
        mine = {one.getsockname()[1], two.getsockname()[1]}
        want = {("127.0.0.1", one.getsockname()[1]), ("::1", two.getsockname()[1])}
    for found in (by_netlink, by_file):
        assert {(s.local, s.port) for s in found if s.port in mine} == want
    shared = {s.inode: s for s in by_netlink}
    assert any(shared.get(s.inode) == s for s in by_file)


def test_an_ipv4_address_in_ipv6_is_shown_as_ipv4() -> None:
    mapped = b"\0" * 10 + b"\xff\xff" + socket.inet_aton("127.0.0.1")
    assert sockdiag.address(socket.AF_INET6, mapped) == "127.0.0.1"
    assert sockdiag.address(socket.AF_INET6, b"\0" * 16) == "::"


def test_maps_of_this_process_name_its_program() -> None:
    program = os.path.realpath("/proc/self/exe")
    found = openers.parse_maps(slurp_all("/proc/self/maps"), lambda path: path == program)
    about = Path(program).stat()
    assert [(path, inode, writable) for path, _, inode, writable in found] == [
        (program, about.st_ino, False)
    ]


def test_utmp_of_both_kinds_of_machine() -> None:
    head = (7, 4242, b"pts/3", b"ts/3", b"alice", b"10.0.0.9", 0, 0)
    narrow = sessions._FORM_32.pack(*head, 1, 1_700_000_000, 500_000, b"", b"")
    wide = sessions._FORM_64.pack(*head, 1, 1_700_000_000, 500_000, b"", b"")
    assert (len(narrow), len(wide)) == (384, 400)
    row = ["pts/3/4242", "alice", "pts/3", "10.0.0.9", 1_700_000_000.5]
    boot = sessions._FORM_32.pack(2, 0, b"~", b"~~", b"reboot", b"6.1", 0, 0, 0, 0, 0, b"", b"")
    assert sessions.parse_utmp(boot + narrow) == [row]
    assert sessions.parse_utmp(wide, wide=True) == [row]


def test_sessions_come_from_logind_where_it_runs(tmp_path: Path) -> None:
    folder = tmp_path / "run/systemd/sessions"
    folder.mkdir(parents=True)
    (folder / "7").write_text(
        "UID=1000\nUSER=bob\nACTIVE=1\nSTATE=active\nREMOTE=1\nREMOTE_HOST=10.9.8.7\n"
        "CLASS=user\nTTY=pts/1\nREALTIME=1700000000123456\n"
    )
    (folder / "c1").write_text("UID=0\nUSER=gdm\nCLASS=greeter\n")
    (folder / "8").write_text("UID=1000\nUSER=bob\nSTATE=closing\nCLASS=user\n")
    rows = sessions.Sessions(Place(root=str(tmp_path))).sample()
    assert rows == {"7": ["7", "bob", "pts/1", "10.9.8.7", 1_700_000_000.1]}


def test_host_counters_agree_with_psutil() -> None:
    sample = counters.Counters(Place()).sample()
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    assert sample["mem_total_kib"] == memory.total // 1024
    assert abs(sample["mem_avail_kib"] - memory.available // 1024) < memory.total // 1024 // 10
    assert sample["swap_total_kib"] == swap.total // 1024
    assert sample["cpus"] == psutil.cpu_count()
    net = counters.parse_net_dev(slurp_all("/proc/net/dev"))
    oracle = psutil.net_io_counters(pernic=True, nowrap=False)
    assert set(net) == set(oracle)
    for name, (received, sent, _) in net.items():
        assert received <= oracle[name].bytes_recv
        assert sent <= oracle[name].bytes_sent
        assert oracle[name].bytes_recv - received < 1 << 30
    stat = counters.parse_stat(slurp_all("/proc/stat"))
    assert stat["btime"] == pytest.approx(psutil.boot_time(), abs=1.5)


def test_disk_counters_agree_with_psutil() -> None:
    names = frozenset(os.listdir("/sys/block"))
    read, written = counters.parse_diskstats(slurp_all("/proc/diskstats"), names)
    oracle = psutil.disk_io_counters(perdisk=True, nowrap=False)
    whole = [value for name, value in oracle.items() if name in names]
    assert 0 <= sum(disk.read_bytes for disk in whole) - read < 1 << 28
    assert 0 <= sum(disk.write_bytes for disk in whole) - written < 1 << 28


def test_rates_cover_the_time_between_two_samples(tmp_path: Path) -> None:
    now = [100.0]
    (tmp_path / "net").mkdir()
    place = Place(proc=str(tmp_path), root=str(tmp_path), mono=lambda: now[0])

    def at(received: int, sent: int, busy: int) -> None:
        line = (
            f"eth0: {received} 1 2 3 0 0 0 0 {sent} 1 4 5 0 0 0 0\n    lo: 9 0 0 0 0 0 0 0 9 0 0 0"
        )
        (tmp_path / "net/dev").write_text("Inter-|\n face |\n" + line)
        (tmp_path / "stat").write_text(f"cpu {busy} 0 0 1000 0 0 0 0 0 0\ncpu0 1 0 0 1\nbtime 5\n")

    source = counters.Counters(place)
    at(1000, 2000, 0)
    first = source.sample()
    assert "rx_bps" not in first
    assert "cpu_pct" not in first
    now[0] += 2.0
    at(5000, 2500, 1000)
    second = source.sample()
    assert (second["rx_bps"], second["tx_bps"], second["cpu_pct"]) == (2000.0, 250.0, 100.0)
    assert second["nics"] == [["eth0", 2000.0, 250.0, 14]]
    now[0] += 2.0
    at(10, 20, 1000)  # the driver was loaded again
    third = source.sample()
    assert (third["rx_bps"], third["tx_bps"]) == (0.0, 0.0)


def test_names_of_users_follow_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc/passwd"
    file.write_text("root:x:0:0::/:/bin/sh\nbroken\nalice:x:1000:1000::/:/bin/sh\n")
    users = Users(Place(root=str(tmp_path)))
    assert (users.name(0), users.name(1000), users.name(7)) == ("root", "alice", "7")
    file.write_text("root:x:0:0::/:/bin/sh\nbob:x:1000:1000::/:/bin/sh\n\n")
    users.refresh()
    assert users.name(1000) == "bob"


@given(st.binary(max_size=700))
def test_text_from_the_host_has_no_controls_and_a_bound(raw: bytes) -> None:
    text = words(raw, 100)
    assert len(text) <= 100
    assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text)
    text.encode()


def test_a_missing_file_is_an_empty_line() -> None:
    assert first_line("/nowhere/at/all") == ""
