"""Which demos run: a note in the user's runtime folder, for a second console that joins one."""

import os
import stat
import tempfile
from pathlib import Path

import msgspec

from console.errors import UsageError, WatchfloorError
from console.model.host import Host

HOSTS = "hosts.json"


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One running demo."""

    pid: int  # of its servers
    folder: str
    title: str = "demo"


class RunningError(WatchfloorError):
    """The note of a running demo cannot be written or is not safe to read."""


def folder() -> Path:
    """Where the notes are: only this user may enter it. Raises RunningError."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and os.path.isdir(runtime):
        path = Path(runtime) / "watchfloor"
    else:
        path = Path(tempfile.gettempdir()) / f"watchfloor-{os.getuid()}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        info = path.lstat()
    except OSError as error:
        raise RunningError(
            f"cannot be made: {error.strerror}", where=str(path),
            hint="Set XDG_RUNTIME_DIR to a folder of your own.",
        ) from None  # fmt: skip
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise RunningError(
            "is not a folder that only you may enter", where=str(path),
            hint="Set XDG_RUNTIME_DIR to a folder of your own.",
        )  # fmt: skip
    return path


def announce(note: Note) -> Path:
    """Let others of this user find a demo; the file of the note. Raises RunningError."""
    path = folder() / f"demo-{note.pid}.json"
    fresh = path.with_suffix(".new")
    try:
        fresh.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(fresh, flags, 0o600), "wb") as file:
            file.write(msgspec.json.encode(note))
        fresh.rename(path)
    except OSError as error:
        raise RunningError(f"cannot be written: {error.strerror}", where=str(path)) from None
    return path


def running() -> list[Note]:
    """The demos of this user that run now; notes of others that were killed are removed."""
    found = []
    for path in sorted(folder().glob("demo-*.json")):
        note = _read(path)
        if note is not None and _lives(note):
            found.append(note)
        else:
            path.unlink(missing_ok=True)
    return found


def find(pid: int = 0) -> Note:
    """The running demo, or that one of several. Raises UsageError."""
    notes = running()
    if pid:
        notes = [note for note in notes if note.pid == pid]
    if not notes:
        raise UsageError(
            "no demo of yours runs" + (f" as {pid}" if pid else ""),
            hint="Start one with `watchfloor demo` in another terminal.",
        )
    if len(notes) > 1:
        pids = ", ".join(str(note.pid) for note in notes)
        raise UsageError(f"several demos run: {pids}", hint="Name one: --join --pid NUMBER.")
    return notes[0]


def hosts(note: Note) -> tuple[Host, ...]:
    """The hosts of a running demo. Raises UsageError where it has just ended."""
    try:
        data = (Path(note.folder) / HOSTS).read_bytes()
        return msgspec.json.decode(data, type=tuple[Host, ...])
    except (OSError, msgspec.DecodeError):
        raise UsageError("the demo has just ended", hint="Start it again.") from None


def _read(path: Path) -> Note | None:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            return msgspec.json.decode(file.read(4096), type=Note)
    except (OSError, msgspec.DecodeError):
        return None


def _lives(note: Note) -> bool:
    try:
        info = os.stat(note.folder)
        os.kill(note.pid, 0)
    except OSError:
        return False
    return info.st_uid == os.getuid() and not info.st_mode & 0o077
