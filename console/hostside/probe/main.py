"""Start of the probe: from a command line, from a sensor's socket, or from memory.

    main.py [--tier N] [--version]

Reads verbs from standard input and writes frames to standard output until input ends.
"""

from __future__ import annotations

import gc
import os
import sys

from . import VERSION
from .lanes import Lanes
from .loop import Loop
from .place import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = "usage: probe [--tier 0|1|2] [--version]"


def run(
    stdin_fd: int = 0,
    stdout_fd: int = 1,
    *,
    tier: int = 0,
    source_sha256: str = "",
    version: str = VERSION,
    place: Place | None = None,
) -> int:
    """Run the probe over two descriptors (pipes, or one socket given twice); 0 at its end.

    ``source_sha256`` and ``version`` are told to the console. ``place`` is the host to read.
    """
    place = Place() if place is None else place
    # Little of what is read lives in cycles; looking for them at every 700 objects costs more.
    gc.set_threshold(20_000, 20, 50)
    hello = {
        "probe": version,
        "sha256": source_sha256,
        "tier": tier,
        "pid": os.getpid(),
        "python": sys.version.split()[0],
    }
    Loop(place, Lanes(place, tier, hello), stdin_fd, stdout_fd).run()
    return 0


def own_sha256() -> str:
    """Digest of the installed files, with the NVML binding that lies beside the package."""
    from .sources import read_tree, sha256_of

    folder = os.path.dirname(os.path.abspath(__file__))
    files = read_tree(folder)
    beside = os.path.join(os.path.dirname(folder), "pynvml.py")
    if os.path.isfile(beside):
        with open(beside, "rb") as handle:
            files["pynvml.py"] = handle.read()
    return sha256_of(files)


def main(argv: Sequence[str]) -> int:
    """Run with arguments (without the program's name); 2 for wrong ones."""
    tier = 1
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--version":
            sys.stdout.write(f"watchfloor probe {VERSION}\n")
            return 0
        if word == "--tier" and rest and rest[0] in ("0", "1", "2"):
            tier = int(rest.pop(0))
        else:
            sys.stderr.write(USAGE + "\n")
            return 2
    end_on_signal()
    return run(tier=tier, source_sha256=own_sha256())


def end_on_signal() -> None:
    """Make a hang-up or a request to end an orderly end, so that children are reaped."""
    import signal

    def stop(number: int, frame: object) -> None:
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
