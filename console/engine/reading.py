"""Reads a recording: foreign text that may be hostile, cut off, damaged, or of a later version."""

import json
import os
import re
import stat
import tempfile
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from console.engine.recording import (
    FORMAT,
    MAX_HOSTS,
    MAX_LINE,
    VERSION,
    Header,
    Line,
    RecordingError,
)
from console.fleet.decode import END_OF_TIME, plain
from console.fleet.scrub import MAX_NUMBER
from console.text import clean

MAX_PLAIN = 8 << 30
"""Bytes of a recording after unpacking."""
MAX_LINES = 50_000_000
MAX_TICKS = 5_000_000
MAX_DEPTH = 12
PIECE = 1 << 20
Progress = Callable[[float], None]
"""Told now and then how much is read: 0 to 1."""

_line = msgspec.json.Decoder(Line)
_header = msgspec.json.Decoder(Header)
_odd_number = re.compile(rb"[0-9]{20}|[:,\[]-?[0-9.]+[eE]\+?[0-9]{2}").search


class Index:
    """Where in a file what is, as found by reading it once."""

    def __init__(self) -> None:
        self.at = array("d")  # of each tick; never smaller than that of the one before
        self.wall = array("d")  # the same as it was recorded
        self.start = array("Q")  # where each tick begins; one more for the end of the last
        self.line = array("Q")  # number of the line with which each tick begins
        self.key_ticks = array("Q")  # ticks that are keyframes
        self.event_at = array("Q")  # where lines of events begin
        self.event_first = array("Q")  # number of the first event in each; from 1
        self.event_tick = array("Q")  # the tick that each belongs to
        self.events = 0
        self.fast: dict[str, array[int]] = {}  # where lines with a fast sample of a host begin

    def tick(self, at: float) -> int:
        """The last tick at or before ``at``; the first one where there is none."""
        return max(0, bisect_right(self.at, at) - 1)

    def keyframe(self, tick: int) -> int:
        """The last keyframe at or before ``tick``."""
        return self.key_ticks[max(0, bisect_right(self.key_ticks, tick) - 1)]

    def events_before(self, tick: int) -> int:
        """How many events come before ``tick``."""
        place = bisect_left(self.event_tick, tick)
        return self.event_first[place] - 1 if place < len(self.event_first) else self.events


class Reading:
    """An open recording. ``ends`` says why it ends where it does; "" for in good order."""

    def __init__(self, path: Path, progress: Progress = lambda done: None) -> None:
        """Read ``path`` once, from begin to end. Raises RecordingError."""
        self.where = clean(str(path))
        self.ends = ""
        self.index = Index()
        self._file = self._open(path, progress)
        try:
            self.header = self._head()
            self._known = frozenset(("", *self.header.hosts))
            self._scan(progress)
            if not self.index.at:
                raise self._error(
                    f"it holds no picture: {self.ends or 'it ends after its first line'}",
                    "It was ended before its first second was over, or damaged.",
                )
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _error(self, message: str, hint: str) -> RecordingError:
        return RecordingError(message, where=self.where, hint=hint)

    # -- opening

    def _open(self, path: Path, progress: Progress) -> IO[bytes]:
        try:
            number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            file = os.fdopen(number, "rb", buffering=PIECE)
            if not stat.S_ISREG(os.fstat(number).st_mode):
                file.close()
                raise self._error("it is not a file", "Name a file that --record has written.")
            magic = file.read(2)
            file.seek(0)
            return self._unpacked(file, progress) if magic == b"\x1f\x8b" else file
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise self._error(
                f"it cannot be read: {clean(why)}", "Name a file that --record has written."
            ) from None

    def _unpacked(self, packed: IO[bytes], progress: Progress) -> IO[bytes]:
        """What a gzip file holds, in a nameless file of this user; a cut end is no error."""
        size = max(1, os.fstat(packed.fileno()).st_size)
        done = written = 0
        out = tempfile.TemporaryFile(buffering=PIECE)  # noqa: SIM115  # closed with the recording
        try:
            with packed:
                unpack = zlib.decompressobj(31)
                while data := packed.read(1 << 16):
                    done += len(data)
                    while data and not unpack.eof:
                        piece = unpack.decompress(data, PIECE)
                        data = unpack.unconsumed_tail
                        written += len(piece)
                        if written > MAX_PLAIN:
                            raise self._error(
                                f"it unpacks to more than {MAX_PLAIN >> 30} GiB",
                                "No recording is so long: it was made to fill your disk.",
                            )
                        out.write(piece)
                    if unpack.eof:
                        break
                    progress(done / size / 2)
        except zlib.error as error:
            self.ends = f"it is damaged: {clean(str(error))}"
        except OSError as error:
            out.close()
            raise self._error(
                f"it cannot be unpacked into {tempfile.gettempdir()}: {error.strerror}",
                "Set TMPDIR to a folder with more room.",
            ) from None
        except BaseException:
            out.close()
            raise
        out.seek(0)
        return out

    def _head(self) -> Header:
        raw = self._file.readline(MAX_LINE + 1)
        hint = "Name a file that `watchfloor --record FILE` has written."
        try:
            header = _header.decode(cleaned(raw))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise self._error("it is not a recording of Watchfloor", hint) from None
        if header.watchfloor != FORMAT:
            raise self._error("it is not a recording of Watchfloor", hint)
        if header.version != VERSION:
            raise self._error(
                f"it is a recording of version {header.version}, this console reads "
                f"version {VERSION}",
                "Update this console." if header.version > VERSION else "It was never released.",
            )
        if len(header.hosts) > MAX_HOSTS or not 0 <= header.at < END_OF_TIME:
            raise self._error(
                f"it names {len(header.hosts):,} hosts or a time that cannot be",
                f"At most {MAX_HOSTS:,} hosts can be shown.",
            )
        return header

    # -- the one pass over all of it

    def _scan(self, progress: Progress) -> None:
        size = max(1, os.fstat(self._file.fileno()).st_size)
        index = self.index
        number, start = 1, self._file.tell()  # of the tick
        first = 2
        at = 0.0
        events: list[tuple[int, int]] = []
        fast: list[tuple[str, int]] = []
        key = False
        place = start
        while True:
            raw = self._file.readline(MAX_LINE + 1)
            number += 1
            if not raw.endswith(b"\n") and len(raw) <= MAX_LINE:
                self.ends = self.ends or "it was cut off"
                break
            try:
                line = self._bounded(raw, number)
            except RecordingError as error:
                self.ends = error.message
                break
            if line.end:
                break
            key = key or line.key
            if line.events:
                events.append((place, len(line.events)))
            if b'"fast":' in raw:
                fast.append((line.host, place))
            place += len(raw)
            if line.tick is None:
                continue
            if not index.at and not key:
                self.ends = f"line {number} is damaged: it begins without a keyframe"
                break
            tick = len(index.at)
            index.wall.append(line.at)
            index.at.append(at := max(at, line.at))
            index.start.append(start)
            index.line.append(first)
            if key:
                index.key_ticks.append(tick)
            for where, count in events:
                index.event_at.append(where)
                index.event_first.append(index.events + 1)
                index.event_tick.append(tick)
                index.events += count
            for host, where in fast:
                index.fast.setdefault(host, array("Q")).append(where)
            start, first, key, events, fast = place, number + 1, False, [], []
            if not tick % 256:
                progress(place / size)
        index.start.append(start)

    def _bounded(self, raw: bytes, number: int) -> Line:
        if number > MAX_LINES or len(self.index.at) >= MAX_TICKS:
            raise self._damaged(number, "no recording has so many lines")
        try:
            # What is shown is cleaned when it is read again: this pass only finds where it is.
            line = self._sane(_line.decode(raw), number) if len(raw) <= MAX_LINE else None
        except (msgspec.MsgspecError, ValueError, RecursionError):
            line = None
        if line is None or line.host not in self._known:
            line = self.decode(raw, number)
        if line.host and line.host not in self._known:
            raise self._damaged(number, "it names a host that the first line does not")
        return line

    # -- single lines

    def _damaged(self, number: int, why: str) -> RecordingError:
        return self._error(
            f"line {number} is damaged: {why}",
            "What comes before it can be replayed.",
        )

    def decode(self, raw: bytes, number: int) -> Line:
        """One line but the first, of clean text and sane times. Raises RecordingError."""
        if len(raw) > MAX_LINE:
            raise self._damaged(number, f"it is longer than {MAX_LINE >> 20} MiB")
        try:
            line = _line.decode(cleaned(raw))
        except RecursionError:
            raise self._damaged(number, f"it is nested deeper than {MAX_DEPTH} levels") from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise self._damaged(number, clean(str(error), 160)) from None
        return self._sane(line, number)

    def _sane(self, line: Line, number: int) -> Line:
        if not 0 <= line.at < END_OF_TIME:
            raise self._damaged(number, "its time cannot be")
        return line

    def read(self, place: int, number: int) -> Line:
        """The line that begins at ``place``. Raises RecordingError."""
        self._file.seek(place)
        return self.decode(self._file.readline(MAX_LINE + 1), number)

    def numbers(self, place: int) -> Line | None:
        """The same for its numbers alone: text in it is not cleaned. None where it is damaged."""
        self._file.seek(place)
        try:
            return _line.decode(self._file.readline(MAX_LINE + 1))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def tick(self, tick: int) -> Iterator[tuple[int, int, Line]]:
        """The lines of a tick: number, length and what it says. Raises RecordingError."""
        place, end = self.index.start[tick], self.index.start[tick + 1]
        number = self.index.line[tick]
        while place < end:
            self._file.seek(place)
            raw = self._file.readline(MAX_LINE + 1)
            if not raw:
                raise self._damaged(number, "the file became shorter while it was read")
            yield number, len(raw), self.decode(raw, number)
            place += len(raw)
            number += 1


def cleaned(raw: bytes) -> bytes:
    """``raw`` with nothing in it that a terminal could obey, and no number that none can show.

    Raises ValueError or RecursionError for what is not JSON or too deep.
    """
    if plain(raw) and not _odd_number(raw):
        return raw
    text = raw.decode("utf-8", "replace")
    return msgspec.json.encode(_clean(json.loads(text, parse_constant=_no_constant), 0))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value if abs(value) <= MAX_NUMBER else None
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    return {clean(key): _clean(item, depth + 1) for key, item in value.items()}
