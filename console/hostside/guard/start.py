"""First lines of the guard's one file, an archive of its modules: finds them, compiled once.

Compiling costs more than everything else in a call. So the code of all modules is kept below the
guard's state folder, which only root can enter, under the digest of this file and the version of
Python; ``guard verify`` compiles all anew and compares. Runs as ``__main__`` of the archive.
"""

from __future__ import annotations

import marshal
import os
import resource
import stat
import sys
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

PACKAGE = "watchfloor_guard"
STATE = "/var/lib/watchfloor/guard"
BASE = ""  # scripts/bundle writes this line anew for another build
KEEP = 3
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Finder:
    """Gives out modules of the archive as code that is compiled."""

    def __init__(self, codes: dict[str, bytes], archive: str) -> None:
        self.codes = codes
        self.archive = archive

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Where a module of the package comes from."""
        if name.partition(".")[0] != PACKAGE:
            return None
        from importlib.machinery import ModuleSpec

        package = name + ".__init__" in self.codes
        if not package and name not in self.codes:
            return None
        return ModuleSpec(name, self, origin=self.archive, is_package=package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """The usual kind."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run its code."""
        name = module.__name__
        package = name + ".__init__" in self.codes
        code = marshal.loads(self.codes[name + ".__init__" if package else name])  # noqa: S302
        exec(code, module.__dict__)  # noqa: S102


def compiled(archive: str) -> dict[str, bytes]:
    """The code of every module in the archive, marshalled, by its dotted name."""
    from io import BytesIO
    from tarfile import open as open_tar
    from zipfile import ZipFile

    found = {}
    with ZipFile(archive) as packed, open_tar(fileobj=BytesIO(packed.read("modules.tar"))) as tar:
        for entry in tar:
            file = tar.extractfile(entry)
            if file is not None and entry.name.endswith(".py"):
                code = compile(file.read(), entry.name, "exec", dont_inherit=True)
                found[entry.name[:-3].replace("/", ".")] = marshal.dumps(code)
    return found


def cache(digest: str) -> str:
    """Where the code of this file for this Python is kept."""
    tag = f"{sys.implementation.cache_tag}-{sys.hexversion:x}"
    return f"{BASE}{STATE}/code/{digest[:32]}-{tag}"


def kept(path: str) -> dict[str, bytes] | None:
    """What is kept there; None where it is not there, not whole, or not only root's."""
    try:
        handle = os.open(path, FLAGS)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        ours = status.st_uid == 0 or (BASE and status.st_uid == os.geteuid())
        if not (ours and stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077):
            return None
        data = file.read()
    if sha256(data[32:]).digest() != data[:32]:  # cut short, not attacked: only root writes here
        return None
    found: dict[str, bytes] = marshal.loads(data[32:])  # noqa: S302
    return found


def keep(path: str, codes: dict[str, bytes]) -> None:
    """Keep it for the next call. Without it a call is slower, and no more."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        if os.stat(folder).st_mode & 0o022:
            return
        for name in sorted(os.listdir(folder))[: -KEEP or None]:
            os.unlink(f"{folder}/{name}")
        data = marshal.dumps(codes)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        temporary = f"{path}.{os.getpid()}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(sha256(data).digest() + data)
        os.rename(temporary, path)
    except (OSError, ValueError):
        return


def same(one: dict[str, bytes], other: dict[str, bytes]) -> bool:
    """Whether both are the same code; equal code need not be marshalled to equal bytes."""
    if set(one) != set(other):
        return False
    return all(marshal.loads(one[name]) == marshal.loads(other[name]) for name in one)  # noqa: S302


def run(archive: str) -> Any:
    """Start the guard in this file."""
    os.umask(0o077)
    with open(archive, "rb") as file:
        digest = sha256(file.read()).hexdigest()
    path = cache(digest)
    codes = kept(path)
    if codes is None:
        codes = compiled(archive)
        keep(path, codes)
    sys.meta_path.insert(0, Finder(codes, archive))
    from importlib import import_module

    main = import_module(PACKAGE + ".main")
    return main.main(archive, digest, lambda: same(codes, compiled(archive)))


if __name__ == "__main__":
    sys.exit(run(os.path.dirname(os.path.abspath(__file__))))
