"""What a plugin tries and does not get: each attempt is real, in a real confined process."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from console.engine.plugins import landlock
from console.engine.plugins.manifest import read
from console.engine.plugins.process import PluginProcess
from console.errors import PluginError
from console.model.panel import Gauge, Plot, PluginHost, Row
from tests.support.plugins import HEAD, doing, write

HOST = PluginHost(name="gpu01", address="192.0.2.1", state="LIVE")
LANDLOCK = landlock.version()
pytestmark = pytest.mark.skipif(not LANDLOCK, reason="no plugin runs without Landlock")


@asynccontextmanager
async def running(folder: Path, *, connect: tuple[str, ...] = ()) -> AsyncIterator[PluginProcess]:
    process = PluginProcess(read(folder), {}, connect)
    try:
        await process.start()
        yield process
    finally:
        pid = process.pid
        await process.kill()
        if pid:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)


async def ask(folder: Path, seconds: float = 5.0, *, times: int = 1) -> None:
    """Ask a plugin in a process of its own so often, then end it."""
    async with running(folder) as process:
        for _ in range(times):
            await process.ask(1.0, [HOST], seconds)


async def burn(folder: Path) -> None:
    """Ask once, then look at what it costs for a while."""
    async with running(folder) as process:
        await process.ask(1.0, [HOST])
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            process.check_cost()
            await asyncio.sleep(0.02)


async def said(place: Path, code: str, *, connect: tuple[str, ...] = ()) -> str:
    """What the plugin shows after it did ``code``. Raises PluginError where that failed."""
    folder = write(place, doing(code), connect=connect)
    async with running(folder, connect=connect) as process:
        answer = await process.ask(time.time(), [HOST])
    (panel,) = answer.panels["gpu01"]
    (row,) = panel.items
    assert isinstance(row, Row)
    return row.value


async def refused(place: Path, code: str, **more: tuple[str, ...]) -> str:
    with pytest.raises(PluginError) as caught:
        await said(place, code, **more)
    return caught.value.message


async def test_an_ordinary_plugin_answers_and_its_print_does_no_harm(tmp_path: Path) -> None:
    folder = write(tmp_path, doing("print('a word'); sys.stdout.flush(); x = 1"))
    async with running(folder) as process:
        for _ in range(3):
            answer = await process.ask(1.0, [HOST])
        assert answer.panels["gpu01"][0].plugin == "trial"
        deadline = time.monotonic() + 10
        while "a word" not in process.printed:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)


async def test_its_environment_and_descriptors_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    with socket.socket() as kept:
        os.set_inheritable(kept.fileno(), True)
        shown = await said(
            tmp_path,
            """
            held = []
            for number in range(3, 32):
                try:
                    os.fstat(number)
                    held.append(number)
                except OSError:
                    pass
            x = (sorted(os.environ), len(held), os.getsid(0) == os.getpid(), os.getcwd())
            """,
        )
    assert "SECRET" not in shown
    assert "LC_ALL" in shown
    assert shown.endswith("2, True, '/')"), f"the two ends of its own pipes, and no more: {shown}"


@pytest.mark.parametrize(
    "code",
    [
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "import subprocess; subprocess.run(['true'])",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "os.killpg(os.getpgid(os.getppid()), 0)",
        "import signal; signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)",
        "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (9, 9))",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.sched_setaffinity(os.getppid(), {0})",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket()",  # no network was asked for
    ],
)
async def test_no_processes_no_signals_no_sockets(tmp_path: Path, code: str) -> None:
    message = await refused(tmp_path, code)
    assert "Error" in message
    assert "main.py:" in message


@pytest.mark.parametrize(
    "code",
    [
        "open('{path}', 'w')",
        "open('{path}', 'r+').write('x')",
        "os.open('{path}', os.O_WRONLY)",
        "os.truncate('{path}', 0)",
        "os.unlink('{path}')",
        "os.rename('{path}', '{path}2')",
        "os.chmod('{path}', 0o777)",
        "os.link('{path}', '{path}2')",
        "os.symlink('{path}', '{path}2')",
        "os.mkdir('{path}2')",
        "os.utime('{path}')",
        "os.mkfifo('{path}2')",
    ],
)
async def test_no_file_is_made_changed_or_removed(tmp_path: Path, code: str) -> None:
    target = tmp_path / "kept.txt"
    target.write_text("as it was", encoding="utf-8")
    target.chmod(0o640)
    before = target.stat()
    message = await refused(tmp_path / "plugins", code.format(path=target))
    assert "Error" in message
    after = target.stat()
    assert target.read_text(encoding="utf-8") == "as it was"
    assert (before.st_mode, before.st_mtime_ns) == (after.st_mode, after.st_mtime_ns)
    assert sorted(os.listdir(tmp_path)) == ["kept.txt", "plugins"]


@pytest.mark.parametrize("what", [".ssh", ".ssh/id", "/proc/self/environ", "/etc/passwd", "/"])
async def test_nothing_of_this_user_is_read(tmp_path: Path, what: str) -> None:
    home = tmp_path / ".ssh"
    home.mkdir(mode=0o700)
    (home / "id").write_text("PRIVATE", encoding="utf-8")
    path = str(tmp_path / what) if what.startswith(".ssh") else what
    verb = "os.listdir" if what in (".ssh", "/") else "open"
    assert "PermissionError" in await refused(tmp_path / "plugins", f"x = {verb}({path!r})")


async def test_the_library_of_python_is_all_that_can_be_imported(tmp_path: Path) -> None:
    assert await said(tmp_path, "import json, http.client, ssl, decimal; x = 'fine'") == "fine"
    for name in ("textual", "asyncssh", "console.engine.session", "console.config.loader"):
        assert "ModuleNotFoundError" in await refused(tmp_path, f"import {name}")


@pytest.mark.skipif(LANDLOCK < landlock.PORTS_FROM, reason="this kernel's Landlock has no ports")
async def test_only_a_granted_port_can_be_reached_even_past_python(tmp_path: Path) -> None:
    past = """
        import ctypes, struct
        libc = ctypes.CDLL(None, use_errno=True)
        fd = libc.socket(2, 1, 0)
        at = struct.pack('=H', 2) + struct.pack('>H', {port}) + bytes([127, 0, 0, 1]) + bytes(8)
        x = (libc.connect(fd, at, 16), ctypes.get_errno())
    """
    with (
        socket.create_server(("127.0.0.1", 0)) as open_,
        socket.create_server(("127.0.0.1", 0)) as shut,
    ):
        port, other = open_.getsockname()[1], shut.getsockname()[1]
        granted = (f"127.0.0.1:{port}",)
        plain = "x = socket.create_connection(('127.0.0.1', {port}), 2) and 'connected'"
        assert await said(tmp_path, plain.format(port=port), connect=granted) == "connected"
        message = await refused(tmp_path, plain.format(port=other), connect=granted)
        assert "is not granted in the configuration" in message
        assert await said(tmp_path, past.format(port=port), connect=granted) == "(0, 0)"
        assert await said(tmp_path, past.format(port=other), connect=granted) == "(-1, 13)"
        message = await refused(tmp_path, "socket.create_server(('', 0))", connect=granted)
        assert "PermissionError" in message


@pytest.mark.parametrize(
    ("code", "said_"),
    [
        ("socket.socket().sendto(b'out', 0x20000000, ('127.0.0.1', {port}))", "PermissionError"),
        ("x = socket.socket(); x.sendmsg([b'out'], [], 0x20000000, ('127.0.0.1', {port}))",
         "PermissionError"),
        ("socket.socket(2, 1, 262).connect(('127.0.0.1', {port}))", "Address family"),
        ("socket.socket(2, 1, 256)", "Address family"),
        ("socket.socket(2, 3, 6)", "Address family"),
        ("socket.socket().setsockopt(6, 31, b'smc')", "PermissionError"),
    ],
)  # fmt: skip
async def test_no_way_around_the_ports(tmp_path: Path, code: str, said_: str) -> None:
    """Fast open, multipath and others carry bytes to a port that Landlock was never asked about."""
    with socket.create_server(("127.0.0.1", 0)) as shut:
        shut.settimeout(0)
        code = code.format(port=shut.getsockname()[1])
        assert said_ in await refused(tmp_path, code, connect=("127.0.0.1:9",))
        with pytest.raises(BlockingIOError):
            shut.accept()


async def test_the_limits_of_another_process_stay(tmp_path: Path) -> None:
    """The filter sees pointers in halves: the new limits lie where the lower one is zero."""
    code = f"""
        import ctypes, resource, struct
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, *[ctypes.c_size_t] * 5]
        at = libc.mmap(1 << 32, 4096, 3, 0x100022, (1 << 64) - 1, 0)
        assert at == 1 << 32
        ctypes.memmove(at, struct.pack("QQ", 9, 9), 16)
        libc.prlimit.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        x = [libc.prlimit(pid, resource.RLIMIT_NOFILE, new, None)
             for pid in (0, os.getpid(), {os.getpid()}) for new in (at, None)]
        x = x, resource.getrlimit(resource.RLIMIT_NOFILE)
    """
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert await said(tmp_path, code) == "([-1, 0, -1, 0, -1, -1], (32, 32))"
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


async def test_what_python_needs_works(tmp_path: Path) -> None:
    """The filter names what is allowed; this is what plugins do all day."""
    code = """
        import concurrent.futures, decimal, hashlib, http.client, json, locale, logging, platform
        import queue, random, secrets, select, selectors, sqlite3, ssl, threading, zoneinfo, zlib
        import datetime, glob, resource, statistics, urllib.request, uuid, xml.etree.ElementTree
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(abs, range(100))) == 4950
        waited = threading.Event(); threading.Timer(0.01, waited.set).start(); waited.wait(2)
        queue.Queue().put(1); time.sleep(0.001); datetime.datetime.now().astimezone()
        select.epoll().close(); selectors.DefaultSelector().close(); select.select([], [], [], 0)
        read, write_ = os.pipe(); os.set_blocking(read, False); os.write(write_, b'x')
        assert select.poll() and os.read(read, 9) == b'x' and not os.isatty(read)
        sqlite3.connect(':memory:').execute('select 1'); ssl.create_default_context()
        secrets.token_hex(4); uuid.uuid4(); bytearray(64 << 20)
        assert os.stat('/dev/null') and glob.glob('/usr/lib/*') and open('/dev/null').read() == ''
        resource.getrusage(resource.RUSAGE_SELF); os.getloadavg; os.cpu_count(); os.uname()
        with socket.create_connection(('localhost', {port}), 2) as link:
            link.sendall(b'hello'); x = link.makefile('rb').readline()
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            taken, _ = server.accept()
            with taken:
                taken.sendall(taken.recv(9) + b" back\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            granted = (f"localhost:{port}",)
            shown = await said(tmp_path, code.replace("{port}", str(port)), connect=granted)
        finally:
            with socket.socket() as last:  # lets the server go where the plugin never came
                last.connect_ex(("127.0.0.1", port))
            thread.join()
    assert shown == "b'hello back\\n'"


async def test_a_number_that_is_none_costs_no_other(tmp_path: Path) -> None:
    body = """
    def collect(self, at, hosts):
        for n, value in enumerate((float("nan"), float("inf"), 1e300, -1e300, 5.0)):
            yield Sample(host="gpu01", name=f"n{n}", value=value)

    def panels(self, at, hosts):
        shares = (float("nan"), 1e300, 98.44)
        gauges = [Gauge(label="g", percent=share, text="left") for share in shares]
        return [Panel(host="gpu01", title="t", items=(*gauges, Plot(label="p", series="n4",
                                                                    top=1e300)))]
    """
    async with running(write(tmp_path, body)) as process:
        answer = await process.ask(1.0, [HOST])
    assert [(sample.name, sample.value) for sample in answer.samples] == [("n4", 5.0)]
    *gauges, plot = answer.panels["gpu01"][0].items
    told = [gauge.told for gauge in gauges if isinstance(gauge, Gauge)]
    assert told == ["not known", "100% left", "98.4% left"]
    assert isinstance(plot, Plot)
    assert plot.top is None


async def test_a_grant_is_nothing_to_a_plugin_that_asks_for_none(tmp_path: Path) -> None:
    folder = write(tmp_path, doing("socket.socket()"))
    with pytest.raises(PluginError, match="Address family"):
        async with running(folder, connect=("127.0.0.1:80",)) as process:
            await process.ask(1.0, [HOST])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x = bytearray(1 << 31)", "MemoryError"),
        ("sys.exit(3)", "ended with status"),
        ("os._exit(3)", "ended with status 3"),
        ("os.abort()", "SIGABRT"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("x = 1 / 0", r"main.py:\d+: ZeroDivisionError"),
        ("raise KeyboardInterrupt", "ended by SIGINT"),
        ("return [Panel(host='gpu99', title='t')]", "gpu99.*not asked about"),
        ("os.kill(os.getpid(), 35)", "ended by signal 35"),
        ("return [Panel(host='gpu01', title='t')] * 9", "more than 4 panels"),
        ("return [Panel(host='gpu01', title='x' * 400_000)]", "more than 256 KiB"),
        ("return ['nonsense']", "outside the protocol"),
        ("return 7", "TypeError"),
    ],
)
async def test_what_a_plugin_does_wrong_is_named(tmp_path: Path, code: str, reason: str) -> None:
    folder = write(tmp_path, doing(code))
    with pytest.raises(PluginError, match=reason):
        await ask(folder)


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(3600)",
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)",
        "os.kill(os.getpid(), 19)",
        "import threading\nfor _ in range(8): threading.Thread(target=time.sleep, args=(99,))"
        ".start()\ntime.sleep(99)",
        "while True: pass",
    ],
)
async def test_one_that_hangs_is_ended_by_its_deadline(tmp_path: Path, code: str) -> None:
    folder = write(tmp_path, doing(code))
    began = time.monotonic()
    with pytest.raises(PluginError, match="did not answer within"):
        await ask(folder, 0.5)
    assert time.monotonic() - began < 5


async def test_a_flood_stays_in_the_pipe_and_ends_it(tmp_path: Path) -> None:
    flood = """
    out = next(n for n in range(31, 2, -1) if _open(n))
    import threading
    def run():
        while True:
            os.write(out, b'{"n": 7}\\n' * 1000)
    threading.Thread(target=run).start()
    time.sleep(0.1)
    """
    head = "import os\ndef _open(n):\n    try:\n        return os.fstat(n) is not None\n"
    head += "    except OSError:\n        return False\n"
    folder = write(tmp_path, doing(flood), head=head + HEAD)
    before = time.process_time()
    with pytest.raises(PluginError, match="outside the protocol"):
        await ask(folder, times=2)
    assert time.process_time() - before < 1.0, "the console's own work"


async def test_one_that_burns_the_processor_between_questions_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.engine.plugins.process.CPU_START_S", 0.2)
    code = "import threading\ndef run():\n    while True: pass\n"
    code += "threading.Thread(target=run, daemon=True).start()"
    folder = write(tmp_path, doing(code))
    with pytest.raises(PluginError, match="of the processor"):
        await burn(folder)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("class P:\n    pass\n    def __init__(self, s): raise ValueError('no targets')\n",
         "ValueError: no targets"),
        ("class P:\n    def __init__(self, setup): pass\n", "has no method collect"),
        ("class Q:\n    pass\n", "AttributeError"),
        ("def broken(:\n", "SyntaxError"),
        ("import os\nos._exit(0)\nclass P:\n    pass\n", "ended with status 0"),
    ],
)  # fmt: skip
async def test_one_that_does_not_start_says_why(tmp_path: Path, head: str, reason: str) -> None:
    folder = write(tmp_path, "", head=head)
    with pytest.raises(PluginError, match=reason):
        async with running(folder):
            pass


async def test_escapes_and_markup_come_out_as_harmless_text(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        """
        def panels(self, at, hosts):
            bad = "\\x1b]52;c;eA==\\x07[@click=app.exit]\\u202e\\x9b31m"
            return [Panel(host="gpu01", title=bad, items=(
                Row(label=bad, value=bad), Gauge(label=bad, percent=1e9, text=bad),
                Note(text=bad * 500), *[Note(text="n")] * 100))]
        """,
    )
    async with running(folder) as process:
        (panel,) = (await process.ask(1.0, [HOST])).panels["gpu01"]
    shown = repr(panel)
    assert not [c for c in shown if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c == "\u202e"]
    assert "\\x1b" not in shown
    assert len(panel.items) == 65
    assert panel.items[1].percent == 100.0  # type: ignore[union-attr]
    assert panel.items[-1].text == "39 more lines are left out"  # type: ignore[union-attr]
