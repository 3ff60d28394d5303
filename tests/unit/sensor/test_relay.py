"""The relay as a process of its own between two real sockets."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "console/hostside/sensor"
# The file as it is installed, but for the place of its socket, which only root may make.
RUN = """\
import sys
sys.path.insert(0, sys.argv[1])
import relay
relay.SOCKET = sys.argv[2]
sys.exit(relay.main())
"""
MIB = 1 << 20


class Sensor:
    """The sensor's end: a listening socket, and one connection once a relay came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(20)

    def accept(self) -> socket.socket:
        connection, _ = self._listener.accept()
        connection.settimeout(20)
        return connection

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def sensor(tmp_path: Path) -> Iterator[Sensor]:
    with contextlib.closing(Sensor(tmp_path / "sensor.sock")) as made:
        yield made


@contextlib.contextmanager
def relay(path: Path, stdin: int, stdout: int) -> Iterator[subprocess.Popen[bytes]]:
    argv = [sys.executable, "-I", "-S", "-c", RUN, str(FOLDER), str(path)]
    process = subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        process.wait(timeout=20)


@contextlib.contextmanager
def console(path: Path) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """A relay whose input and output are one socket, as sshd starts it, and the other end."""
    near, far = socket.socketpair()
    near.settimeout(20)
    with near, far, relay(path, far.fileno(), far.fileno()) as process:
        far.close()
        yield process, near


def write_all(sock: socket.socket, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):  # the other direction may have ended it all
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)


def read_all(sock: socket.socket, into: bytearray) -> None:
    # An end that is closed with bytes still on the way to it resets the other one.
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(65_536):
            into += data


def test_bytes_go_both_ways_and_each_end_is_passed_on(sensor: Sensor) -> None:
    with console(sensor.path) as (process, near), sensor.accept() as far:
        near.sendall(b"focus on\n")
        assert far.recv(100) == b"focus on\n"
        far.sendall(b"{}\n")
        assert near.recv(100) == b"{}\n"
        near.shutdown(socket.SHUT_WR)
        assert far.recv(100) == b""
        far.sendall(b"last words\n")
        far.close()
        assert near.recv(100) == b"last words\n"
        assert near.recv(100) == b""
        assert process.wait(timeout=20) == 0


def test_floods_in_both_directions_do_not_stop_each_other(sensor: Sensor) -> None:
    up, down = os.urandom(8 * MIB), os.urandom(8 * MIB)
    with console(sensor.path) as (process, near), sensor.accept() as far:
        came_up, came_down = bytearray(), bytearray()
        threads = [
            threading.Thread(target=write_all, args=(near, up)),
            threading.Thread(target=write_all, args=(far, down)),
            threading.Thread(target=read_all, args=(near, came_down)),
            threading.Thread(target=read_all, args=(far, came_up)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)
        assert process.wait(timeout=20) == 0
    assert came_down == down
    # When the sensor has ended, what is still on its way to it is of no use.
    assert up.startswith(bytes(came_up))


def test_a_sensor_that_ends_ends_the_relay(sensor: Sensor) -> None:
    with console(sensor.path) as (process, near), sensor.accept() as far:
        far.sendall(b"{}\n")
        far.close()
        assert near.recv(100) == b"{}\n"
        assert near.recv(1) == b""
        assert process.wait(timeout=20) == 0


def test_a_sensor_that_turns_us_away_is_a_failure_with_a_reason(sensor: Sensor) -> None:
    with console(sensor.path) as (process, near), sensor.accept() as far:
        far.close()
        assert near.recv(1) == b""
        assert process.wait(timeout=20) == 69
        assert process.stderr is not None
        assert b"all its connections are taken" in process.stderr.read()


def fill(sock: socket.socket) -> None:
    """Write until nothing more goes."""
    sock.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            sock.sendall(b"x" * 65_536)


def test_a_console_that_leaves_frees_the_sensor_also_when_both_are_full(sensor: Sensor) -> None:
    with console(sensor.path) as (process, near), sensor.accept() as far:
        fill(near)
        fill(far)
        assert process.poll() is None
        near.close()
        assert process.wait(timeout=20) == 0


def test_a_console_that_leaves_is_noticed_while_the_sensor_is_silent(sensor: Sensor) -> None:
    reader, writer = os.pipe()
    with relay(sensor.path, subprocess.PIPE, writer) as process, sensor.accept():
        os.close(writer)
        os.close(reader)  # its input stays open
        assert process.wait(timeout=20) == 0


def test_waiting_for_a_console_that_does_not_read_costs_nothing(sensor: Sensor) -> None:
    with console(sensor.path) as (process, near), sensor.accept() as far:
        fill(far)
        far.close()
        assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)
        text = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii")
        ticks = sum(int(word) for word in text.rpartition(")")[2].split()[11:13])
        assert ticks / os.sysconf("SC_CLK_TCK") < 0.5, "it must sleep, not spin"
        rest = bytearray()
        read_all(near, rest)
        assert len(rest) > 65_536
        assert process.wait(timeout=20) == 0


def test_without_a_sensor_it_says_so(tmp_path: Path) -> None:
    with relay(tmp_path / "nobody", subprocess.DEVNULL, subprocess.PIPE) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 69
    assert errors.decode().startswith("the sensor does not answer on ")
    assert "No such file" in errors.decode()
