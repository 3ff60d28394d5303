"""The process of one plugin, started by path.

``python -I -S -B child.py FOLDER_OF_MSGSPEC PID_OF_CONSOLE``. It loads what it needs of the
console, gives everything else up, and only then runs the plugin's first line, which came as bytes
over standard input: the bytes whose digest was compared.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import math
import os
import resource
import signal
import sys
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

if __name__ == "__main__":
    sys.path += [str(Path(__file__).resolve().parents[3]), sys.argv[1]]

import msgspec

from console import extend
from console.engine.plugins import landlock, seccomp
from console.engine.plugins.protocol import Said, Start, Tick
from console.model.address import parts

MEMORY = 512 << 20
FILES = 32
CPU_S = 3600
"""All its life; the console itself looks every few seconds for one that takes too much."""
NICE = 10
_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38  # of prctl(2)
_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/hosts",
    "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/resolv.conf", "/etc/services",
    "/etc/localtime", "/usr/share/zoneinfo", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs", "/etc/pki/ca-trust", "/usr/share/ca-certificates", "/dev/null",
    "/dev/urandom",
)  # fmt: skip
"""What any program may read here: libraries, names, time zones, certificates of authorities."""
_ENOUGH = ("console", "console.extend", "console.model", "console.text", "console.errors")


class Files(importlib.abc.InspectLoader, importlib.abc.MetaPathFinder):
    """Imports a plugin's modules from its bytes, as a package."""

    def __init__(self, package: str, files: dict[str, bytes]) -> None:
        self._package = package
        self._files = files

    def _path(self, name: str) -> str | None:
        """The file of a module; the package itself may do without one."""
        if name == self._package:
            return "__init__.py"
        if not name.startswith(f"{self._package}."):
            return None
        inside = name.removeprefix(f"{self._package}.").replace(".", "/")
        found = (f"{inside}.py", f"{inside}/__init__.py")
        return next((path for path in found if path in self._files), None)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of one of its modules."""
        if self._path(fullname) is None:
            return None
        return importlib.util.spec_from_loader(
            fullname, self, origin=self.get_filename(fullname), is_package=self.is_package(fullname)
        )

    def is_package(self, fullname: str) -> bool:
        """Whether it holds modules."""
        return fullname == self._package or str(self._path(fullname)).endswith("/__init__.py")

    def get_filename(self, fullname: str) -> str:
        """What tracebacks call it."""
        return f"{self._package.removeprefix('plugin_')}/{self._path(fullname)}"

    def get_source(self, fullname: str) -> str:
        """Its text; ImportError where that is not UTF-8."""
        try:
            return self._files.get(str(self._path(fullname)), b"").decode()
        except UnicodeDecodeError as exc:
            raise ImportError(f"{fullname} is not UTF-8") from exc

    def get_code(self, fullname: str) -> Any:
        """Its code."""
        return self.source_to_code(self.get_source(fullname), self.get_filename(fullname))


def _pipes() -> tuple[int, int]:
    """Copies of standard input and output that no print() reaches; what is printed goes to 2."""
    given, taken = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)
    return given, taken


def _limits() -> None:
    for what, much in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        least = much if hard == resource.RLIM_INFINITY else min(much, hard)
        resource.setrlimit(what, (least, least))


def _readable() -> list[Path]:
    """Python's own folders, without those of other packages, and what any program needs."""
    own = [sysconfig.get_path("stdlib"), str(Path(sys.base_prefix) / "lib"), *sys.path]
    here = {sys.argv[1], str(Path(__file__).resolve().parents[3])}
    return [Path(text) for text in (*own, *_SYSTEM) if text and text not in here]


def confine(connect: Sequence[str]) -> None:
    """Give up all that a plugin does not need. OSError where the kernel does not hold it."""
    import ctypes

    ports = [parts(text)[1] for text in connect]
    libc = ctypes.CDLL(None, use_errno=True)
    word = ctypes.c_ulong
    for what, value in ((_DEATH_SIGNAL, signal.SIGKILL), (_NO_NEW_PRIVILEGES, 1)):
        if libc.prctl(what, word(value), word(0), word(0), word(0)) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != int(sys.argv[2]):  # it ended before the death signal was asked for
        raise OSError(0, "the console is gone")
    os.nice(NICE)
    _limits()
    if not landlock.restrict(_readable(), ports):
        raise OSError(0, landlock.NONE)
    seccomp.confine(network=bool(ports))
    sys.addaudithook(_only_to({parts(text) for text in connect}))


def _only_to(granted: set[tuple[str, int]]) -> Any:
    """Refuses connections to other addresses. The kernel holds the ports; this holds mistakes."""
    alike = {"127.0.0.1", "::1", "localhost"}
    local = {port for address, port in granted if address == "localhost"}

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event != "socket.connect" or not isinstance(args[1], tuple):
            return
        address, port = args[1][:2]
        if (address, port) not in granted and not (address in alike and port in local):
            raise PermissionError(f"{address}:{port} is not granted in the configuration")

    return hook


def _forget_the_console() -> None:
    """Leave only what a plugin may import of it."""
    for name in [n for n in sys.modules if n.partition(".")[0] == "console"]:
        if not name.startswith(_ENOUGH[1:]) and name != _ENOUGH[0]:
            del sys.modules[name]
    sys.modules["console"].__path__ = []
    sys.path[:] = sys.path[:-2]


def _load(start: Start) -> Any:
    """The plugin, made. Whatever its code raises comes out."""
    sys.meta_path.insert(0, Files(start.package, start.files))
    module, _, name = start.entry.partition(":")
    made = getattr(importlib.import_module(f"{start.package}.{module}"), name)(
        extend.Setup(settings=start.settings, connect=start.connect)
    )
    for kind, method in (("collector", "collect"), ("panel", "panels")):
        if kind in start.kinds and not callable(getattr(made, method, None)):
            raise TypeError(f"{name} has no method {method}(), which its kind {kind!r} needs")
    return made


def _answer(plugin: Any, tick: Tick, kinds: Sequence[str]) -> Said:
    given = plugin.collect(tick.at, tick.hosts) if "collector" in kinds else ()
    samples = tuple(sample for sample in given if math.isfinite(sample.value))  # JSON has no others
    panels = tuple(plugin.panels(tick.at, tick.hosts)) if "panel" in kinds else ()
    return Said(n=tick.n, samples=samples, panels=panels)


def _words(error: BaseException, package: str) -> str:
    """An exception in one line, with the last line of the plugin's own that it passed."""
    own = f"{package.removeprefix('plugin_')}/"
    frames = traceback.extract_tb(error.__traceback__)
    place = next(
        (f"{f.filename}:{f.lineno}" for f in frames[::-1] if f.filename.startswith(own)), ""
    )
    said = f"{type(error).__name__}: {error}"[:300]
    return f"{place}: {said}" if place else said


def main() -> int:
    """Serve until standard input ends."""
    given, taken = _pipes()
    lines = os.fdopen(given, "rb")
    package = ""

    def say(said: Said) -> None:
        left = memoryview(msgspec.json.encode(said) + b"\n")
        while left:
            left = left[os.write(taken, left) :]

    try:
        start = msgspec.json.decode(lines.readline(), type=Start)
        package = start.package
        confine(start.connect)
        _forget_the_console()
        plugin = _load(start)
        say(Said(n=0))
        for line in lines:
            say(_answer(plugin, msgspec.json.decode(line, type=Tick), start.kinds))
    except Exception as error:  # noqa: BLE001,RUF100  # whatever a plugin raises is told
        say(Said(n=-1, error=_words(error, package)))
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    os._exit(code)  # no thread or exit handler of a plugin holds the end up
