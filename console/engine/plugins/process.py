"""One process of a plugin as the console sees it: start, ask with a deadline, kill."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from console.engine.plugins import landlock
from console.engine.plugins.manifest import Bundle
from console.engine.plugins.protocol import MAX_LINE, Answer, Said, Start, Tick, checked, decode
from console.errors import PluginError
from console.model.panel import PluginHost
from console.model.words import span
from console.text import clean_lines

START_S = 15.0
ANSWER_S = 5.0
CPU_START_S = 10.0
CPU_SHARE = 0.2
"""Seconds of processor time that it has to begin with, and what comes back a second."""
PRINTED = 4096
KILL_S = 2.0
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_CHILD = Path(__file__).resolve().with_name("child.py")
_BESIDE = str(Path(msgspec.__file__).resolve().parents[1])


def held() -> int:
    """The kernel's version of Landlock. Raises PluginError where there is none: no plugin runs."""
    version = landlock.version()
    if not version:
        raise PluginError(
            landlock.NONE,
            hint="Use Linux 5.13 or newer with `landlock` in /sys/kernel/security/lsm (kernel"
            " parameter lsm=), and no container whose seccomp profile hides it.",
        )
    return version


class PluginProcess:
    """A plugin's process, from ``start`` to ``kill``. What it does wrong is a PluginError."""

    def __init__(self, bundle: Bundle, settings: dict[str, object], connect: tuple[str, ...]):
        self._bundle = bundle
        self._settings = settings
        # What a person grants counts, but only where the plugin says that it needs any network.
        self._connect = connect if bundle.manifest.asks.connect else ()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._asked = 0
        self._began = 0.0
        self.landlock = 0
        self.printed = ""  # the last of what it printed, cleaned; for its author

    @property
    def network(self) -> bool:
        """Whether it may have TCP sockets at all."""
        return bool(self._connect)

    @property
    def pid(self) -> int:
        """Process id; 0 when there is none."""
        return self._process.pid if self._process is not None else 0

    async def start(self, seconds: float = START_S) -> None:
        """Start it and wait until it is confined and its class is made."""
        self.landlock = held()
        env = {"LC_ALL": "C.UTF-8"}
        if "LD_LIBRARY_PATH" in os.environ:  # some Pythons do not start without
            env["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", "-B", str(_CHILD), _BESIDE, str(os.getpid()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_LINE,
                env=env,
                cwd="/",
                start_new_session=True,
            )  # fmt: skip
        except OSError as exc:
            raise PluginError(f"cannot be started: {exc.strerror}") from exc
        self._began = asyncio.get_running_loop().time()
        self._reader = asyncio.create_task(self._read_printed(), name="plugin's prints")
        manifest = self._bundle.manifest
        start = Start(
            package="plugin_" + self._bundle.name.replace("-", "_"),
            entry=manifest.entry,
            kinds=manifest.kinds,
            files=self._bundle.files,
            settings=self._settings,
            connect=self._connect,
        )
        await self._say(msgspec.json.encode(start), 0, seconds, "did not start")

    async def ask(
        self, at: float, hosts: Sequence[PluginHost], seconds: float = ANSWER_S
    ) -> Answer:
        """One question and its checked answer. Raises PluginError."""
        self._asked += 1
        tick = Tick(n=self._asked, at=at, hosts=tuple(hosts))
        said = await self._say(msgspec.json.encode(tick), tick.n, seconds, "did not answer")
        self.check_cost()
        return checked(said, self._bundle.name, [host.name for host in hosts], at)

    def check_cost(self) -> None:
        """Raises PluginError for one that is gone or takes more of the processor than its share."""
        if self._process is None or self._process.returncode is not None:
            raise PluginError(self._end())
        used = _cpu_s(self._process.pid)
        lived = asyncio.get_running_loop().time() - self._began
        if used > CPU_START_S + CPU_SHARE * lived:
            raise PluginError(f"took {used:.0f} s of the processor in {span(lived)}")

    async def _say(self, line: bytes, number: int, seconds: float, what: str) -> Said:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise PluginError("is not running")
        try:
            async with asyncio.timeout(seconds):
                process.stdin.write(line + b"\n")
                await process.stdin.drain()
                answer = await process.stdout.readline()
        except TimeoutError:
            raise PluginError(f"{what} within {seconds:g} s") from None
        except ValueError:  # asyncio's for a line that is longer than the limit
            raise PluginError(f"sent a line of more than {MAX_LINE >> 10} KiB") from None
        except ConnectionError:
            answer = b""
        if not answer.endswith(b"\n"):
            await self._ended()
            raise PluginError(self._end())
        said = decode(answer)
        if said.error:
            raise PluginError(clean_lines(said.error, 400).replace("\n", " "))
        if said.n != number:
            raise PluginError("speaks outside the protocol: it answers what was not asked")
        return said

    async def _ended(self) -> None:
        """Its pipe is closed; give the end a moment to become known."""
        if self._process is not None:
            try:
                async with asyncio.timeout(1):
                    await self._process.wait()
            except TimeoutError:
                pass

    def _end(self) -> str:
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return "closed its output"
        if code < 0:
            return f"was ended by {_signal(-code)}"
        last = self.printed.strip().rpartition("\n")[2]
        return f"ended with status {code}" + (f": {last}" if last else "")

    async def _read_printed(self) -> None:
        """Keep the last of what it prints; a flood is read no faster than ``PRINTED`` a second."""
        stderr = self._process.stderr if self._process is not None else None
        raw = b""
        while stderr is not None and (chunk := await stderr.read(PRINTED)):
            raw = (raw + chunk)[-PRINTED:]
            self.printed = clean_lines(raw.decode("utf-8", "replace"), PRINTED)
            await asyncio.sleep(1.0)

    async def kill(self) -> None:
        """End it at once, whatever it does; nothing that it holds needs an orderly end."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        if process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        try:
            async with asyncio.timeout(KILL_S):  # one that the kernel itself holds is left to it
                await process.wait()
        except TimeoutError:
            pass
        process._transport.close()  # type: ignore[attr-defined]  # else pipes wait for the collector


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"


def _cpu_s(pid: int) -> float:
    """Processor time of a process so far; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND
    except (OSError, IndexError, ValueError):
        return 0.0
