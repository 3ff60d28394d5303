"""The demo as a thing to start and stop: a folder of its own and the process of its hosts.

Nothing of the person who runs it is read or written: keys, state and inventory are in a temporary
folder that only this user may enter, and every server listens on 127.0.0.1.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from console.config.document import Colleague, Operator, Plugin
from console.demo.child import Order, Said
from console.demo.running import HOSTS, Note, RunningError, announce
from console.errors import WatchfloorError
from console.model.host import Host
from console.text import clean

START_S = 60.0
STOP_S = 12.0
LOG = "servers.log"


class DemoError(WatchfloorError):
    """The demo's own servers could not be started."""


class DemoConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine needs to know of a configuration."""

    hosts: tuple[Host, ...]
    workstation: bool
    state_dir: Path
    history: bool = True
    plugins: Mapping[str, Plugin] = {}
    operator: Operator = Operator()
    operators: Mapping[str, Colleague] = {}
    read_only: bool = False

    @property
    def known(self) -> dict[str, Host]:
        """The hosts by name."""
        return {host.name: host for host in self.hosts}


class Begun(msgspec.Struct, frozen=True):
    """A stage that has begun."""

    id: str
    at: float  # seconds since the epoch


class Demo:
    """A running demo fleet. Use as ``with`` or ``async with``.

    ``speed`` lets simulated time run faster, ``count`` asks for many small hosts instead of the
    fleet with its incident, ``bad`` for hosts that misbehave among them (kinds of misbehave.py).
    ``announced`` lets other consoles of this user join it (``running.py``).
    ``read_only`` signs nothing from the first person's console.
    ``plugins`` shows what the demo's model servers say of themselves, by the plugin that ships.
    """

    def __init__(
        self,
        *,
        speed: float = 1.0,
        seed: int = 1,
        keep: bool = False,
        local: bool = True,
        incident: bool = True,
        workstation: bool = True,
        plugins: bool = False,
        count: int = 0,
        bad: tuple[str, ...] = (),
        announced: bool = False,
        read_only: bool = False,
    ) -> None:
        self._announce = announced
        self._read_only = read_only
        self._note: Path | None = None
        self.alone = ""  # why no other console can join
        self.hosts: tuple[Host, ...] = ()
        self.folder = Path()
        self.metrics: dict[str, str] = {}  # pages of model servers, by host
        self._workstation = workstation
        self._with_plugins = plugins
        self._order = Order(
            folder="",
            seed=seed,
            speed=speed,
            keep=keep,
            local=local,
            incident=incident,
            count=count,
            bad=bad,
        )
        self._child: subprocess.Popen[bytes] | None = None
        self._begun: list[Begun] = []
        self._error = ""
        self._ready = threading.Event()
        self._reader: threading.Thread | None = None

    # --- start and stop ---

    def start(self) -> None:
        """Start the servers and wait until they listen. Raises DemoError."""
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="watchfloor-demo-"))
        except OSError as error:
            raise DemoError(
                f"the demo cannot make its temporary folder: {error.strerror}",
                hint="Set TMPDIR to a folder that you may write.",
            ) from None
        order = msgspec.structs.replace(self._order, folder=str(self.folder))
        package = Path(__file__).resolve().parents[2]
        path = os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH", ""))))
        # A session of its own: a stop typed at the terminal reaches the console alone, which
        # then ends the servers by closing their input.
        with (self.folder / LOG).open("wb") as log:  # on the terminal it would spoil the screens
            self._child = subprocess.Popen(
                [sys.executable, "-m", "console.demo.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                cwd=self.folder,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, name="demo", daemon=True)
        self._reader.start()
        if self._child.stdin is not None:
            self._child.stdin.write(msgspec.json.encode(order) + b"\n")
            self._child.stdin.flush()
        if not self._ready.wait(START_S) or not self.hosts:
            reason = self._error or self._last_words() or "they did not answer in time"
            self.stop()
            raise DemoError(f"the demo's servers did not start: {reason}")
        (self.folder / "hosts.toml").write_text(inventory_toml(self.hosts), encoding="utf-8")
        (self.folder / HOSTS).write_bytes(msgspec.json.encode(self.hosts))
        if self._announce:
            try:
                self._note = announce(Note(pid=self.pid, folder=str(self.folder)))
            except RunningError as error:  # this console works all the same
                self.alone = str(error)

    def stop(self) -> None:
        """End the servers and remove the folder unless it is kept."""
        child, self._child = self._child, None
        if self._note is not None:
            self._note.unlink(missing_ok=True)
        if child is not None:
            if child.stdin is not None:
                child.stdin.close()
            try:
                child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if self._reader is not None:
                self._reader.join(STOP_S)
            if child.stdout is not None:
                child.stdout.close()
        if not self._order.keep and self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _last_words(self) -> str:
        """The last line that the servers wrote to their log."""
        lines = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        return clean(lines[-1]) if lines else ""

    def _read(self) -> None:
        stdout = self._child.stdout if self._child is not None else None
        if stdout is None:
            return
        for line in stdout:
            said = msgspec.json.decode(line, type=Said)
            if said.ready is not None:
                self.hosts = said.ready.hosts
                self.metrics = said.ready.metrics
                self._ready.set()
            elif said.stage:
                self._begun.append(Begun(said.stage, said.at))
            elif said.error:
                self._error = said.error
        self._ready.set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    # --- what it is ---

    @property
    def keep(self) -> bool:
        """True when the folder stays after the end."""
        return self._order.keep

    @property
    def pid(self) -> int:
        """Process id of the servers; 0 when they are not running."""
        return self._child.pid if self._child is not None else 0

    def stages_begun(self) -> tuple[Begun, ...]:
        """The stages of the incident that have begun, in order."""
        return tuple(self._begun)

    def config(self) -> DemoConfig:
        """The configuration that an engine is made of."""
        state = self.folder / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        return DemoConfig(
            hosts=self.hosts,
            workstation=self._workstation,
            state_dir=state,
            read_only=self._read_only,
            plugins=self._plugins() if self._with_plugins and self.metrics else {},
        )

    def _plugins(self) -> dict[str, Plugin]:
        """The plugin that ships for model servers, pinned as a person would pin it."""
        from console.engine.plugins.manifest import read
        from console.resources import shipped

        bundle = read(shipped("plugins") / "prometheus")
        return {
            bundle.name: Plugin(
                enabled=True,
                sha256=bundle.sha256,
                hosts=",".join(self.metrics),
                connect=tuple(urlsplit(url).netloc for url in self.metrics.values()),
                interval_s=2.0,
                settings={"targets": self.metrics},
            )
        }


def inventory_toml(hosts: Sequence[Host]) -> str:
    """Hosts of a demo as an inventory file, for ``watchfloor --config``."""
    out = ["# The demo's fleet; valid while the demo runs.\n"]
    for host in hosts:
        out.append("[[hosts]]")
        for field in msgspec.structs.fields(Host):
            value = getattr(host, field.name)
            if value != field.default:
                out.append(f"{field.name} = {_toml(value)}")
        out.append("")
    return "\n".join(out)


def _toml(value: object) -> str:
    """A string, number, truth value or list of strings: TOML writes these as JSON does."""
    return msgspec.json.encode(value).decode()
