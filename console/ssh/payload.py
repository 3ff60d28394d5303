"""The probe as one stream of bytes for hosts that have only Python, and the command that reads it.

What a host gets on standard input is ``<length>\\n<bytes>``: a decimal number, a line feed, and
so many bytes of zlib data (``Payload.source``). The remote command is a constant text that an
auditor can allow by its exact form; it reads these bytes and nothing more, so that verbs follow on
the same stream.
"""

import shlex
import zlib
from base64 import b64encode
from functools import cache
from importlib import util
from pathlib import Path

import msgspec

from console import __version__
from console.hostside.probe.sources import read_tree, sha256_of
from console.model.host import Host

LOADER = (
    "import io,zlib;r=io.BufferedReader(io.FileIO(0),1);"
    "exec(zlib.decompress(r.read(int(r.readline()))))"
)
"""A buffer of one byte, because a reader that takes more would swallow the first verbs."""

PACKAGE = "watchfloor_probe"
SENSOR_COMMAND = "watchfloor-probe"

# Files stay packed until they are imported: the NVML binding alone is as large as all the rest.
_BOOT = '''\
import sys
from binascii import a2b_base64
from zlib import decompress
from _frozen_importlib import ModuleSpec

class Finder:
    """Imports the probe and the NVML binding from memory."""

    @staticmethod
    def path(name):
        """Key of a module in FILES, or None."""
        if name == "pynvml":
            return "pynvml.py" if "pynvml.py" in FILES else None
        if name != PACKAGE and not name.startswith(PACKAGE + "."):
            return None
        base = name[len(PACKAGE) + 1 :].replace(".", "/")
        for path in (base + "/__init__.py" if base else "__init__.py", base + ".py"):
            if path in FILES:
                return path
        return None

    def find_spec(self, name, path=None, target=None):
        """As importlib asks for it."""
        where = self.path(name)
        if where is None:
            return None
        spec = ModuleSpec(name, self, origin="probe:" + where)
        if where.endswith("__init__.py"):
            spec.submodule_search_locations = []
        return spec

    def create_module(self, spec):
        """The ordinary kind of module."""
        return None

    def exec_module(self, module):
        """Unpack, compile and run."""
        where = self.path(module.__name__)
        module.__file__ = "probe:" + where
        text = decompress(a2b_base64(FILES[where]))
        exec(compile(text, "probe:" + where, "exec", dont_inherit=True), module.__dict__)

sys.meta_path.insert(0, Finder())
from watchfloor_probe.main import end_on_signal, run
end_on_signal()
sys.exit(run(tier=0, source_sha256=SHA256, version=VERSION))
'''


class Payload(msgspec.Struct, frozen=True):
    """What is sent to a host at tier 0."""

    source: bytes  # zlib data
    sha256: str  # digest over the files in it; the probe tells it in its first frame
    loader: str  # the constant program text that reads the stream


@cache
def payload() -> Payload:
    """Pack the probe and the NVML binding; made once for a process.

    The order and the compression are fixed: the same files give the same bytes.
    """
    files = read_tree(str(_probe_folder()))
    binding = _binding()
    if binding is not None:
        files["pynvml.py"] = binding.read_bytes()
    sha256 = sha256_of(files)
    listing = "".join(f"    {name!r}: {_packed(files[name])!r},\n" for name in sorted(files))
    text = (
        f"PACKAGE = {PACKAGE!r}\nVERSION = {__version__!r}\nSHA256 = {sha256!r}\n"
        f"FILES = {{\n{listing}}}\n{_BOOT}"
    )
    return Payload(zlib.compress(text.encode(), 9), sha256, LOADER)


def _packed(data: bytes) -> str:
    return b64encode(zlib.compress(data, 9)).decode()


def _probe_folder() -> Path:
    return Path(__file__).resolve().parent.parent / "hostside" / "probe"


def _binding() -> Path | None:
    """The file of nvidia-ml-py, found without running it."""
    spec = util.find_spec("pynvml")
    return Path(spec.origin) if spec is not None and spec.origin else None


def nvml_binding() -> bytes | None:
    """The NVML binding as it is sent along; None where it is not installed here."""
    found = _binding()
    return found.read_bytes() if found is not None else None


def command(host: Host) -> str:
    """The remote command that starts the probe on ``host``, for the account's login shell.

    Tiers 1 and 2 have a forced command: what is asked for is only a name in the server's log.
    """
    if host.tier != 0:
        return SENSOR_COMMAND
    return f"exec {shlex.quote(host.python)} -I -S -u -c {shlex.quote(LOADER)}"
