"""Reads a recording: foreign text that may be hostile, cut off, damaged, or of a later version."""

import json
import os
import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from console.engine.recording import (
    FORMAT,
    MAX_HEAD,
    MAX_HOSTS,
    MAX_LINE,
    MAX_VALUES,
    VERSION,
    Header,
    Line,
    RecordingError,
)
from console.engine.unpacking import HINT, PIECE, Progress, opened
from console.fleet.decode import END_OF_TIME, plain
from console.fleet.scrub import MAX_NUMBER
from console.text import clean

MAX_LINES = 10_000_000
MAX_TICKS = 5_000_000
MAX_DEPTH = 12

_line = msgspec.json.Decoder(Line)
_header = msgspec.json.Decoder(Header)
_odd_number = re.compile(rb"[0-9]{20}|[:,\[]-?[0-9.]+[eE]\+?[0-9]{2}").search
_whose = re.compile(rb'\{"at":[0-9.eE+-]{1,32},(?:"key":true,)?"host":"([^"\\]{1,512})"').match
"""The host of a line that is not whole or is no JSON."""


class Gap(msgspec.Struct, frozen=True):
    """A line that cannot be read. What comes after it can."""

    host: str  # whose line it was; "" where that cannot be told
    why: str


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
    """An open recording. ``ends`` says why it ends where it does; "" for in good order.

    ``damage`` names the first line that cannot be read; "" where all can.
    """

    def __init__(self, path: Path, progress: Progress = lambda done: None) -> None:
        """Read ``path`` once, from begin to end. Raises RecordingError."""
        self.where = clean(str(path))
        self.damage = ""
        self.index = Index()
        self._file, self.ends = opened(path, self.where, self._header, progress)
        try:
            self.header = self._header(self._file.readline(MAX_HEAD + 1))
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

    def _header(self, raw: bytes) -> Header:
        try:
            header = _header.decode(cleaned(raw) if len(raw) <= MAX_HEAD else b"")
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise self._error("it is not a recording of Watchfloor", HINT) from None
        if header.watchfloor != FORMAT:
            raise self._error("it is not a recording of Watchfloor", HINT)
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
        fast: dict[str, int] = {}  # the last of each host in this tick
        key = False
        place = start
        while True:
            raw, length = self._next()
            number += 1
            if not raw.endswith(b"\n"):
                self.ends = self.ends or "it was cut off"
                break
            try:
                line = self._bounded(raw, number)
            except RecordingError as error:
                self.ends = error.message
                break
            place, begun = place + length, place
            if isinstance(line, Gap):
                self.damage = self.damage or f"line {number} is damaged: {line.why}"
                continue
            if line.end:
                break
            key = key or line.key
            if line.events:
                events.append((begun, len(line.events)))
            if line.host and b'"fast":' in raw:
                fast[line.host] = begun
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
            for host, where in fast.items():
                index.fast.setdefault(host, array("Q")).append(where)
            start, first, key, events, fast = place, number + 1, False, [], {}
            if not tick % 256:
                progress(place / size)
        index.start.append(start)

    def _next(self) -> tuple[bytes, int]:
        """The next line and its length; of one that is too long its begin, and a line feed."""
        raw = self._file.readline(MAX_LINE + 1)
        length = len(raw)
        if length <= MAX_LINE:
            return raw, length
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = self._file.readline(PIECE)
            length += len(rest)
        return raw.rstrip(b"\n") + b" " + rest[-1:], length

    def _bounded(self, raw: bytes, number: int) -> Line | Gap:
        if number > MAX_LINES or len(self.index.at) >= MAX_TICKS:
            raise self._error(
                f"line {number} is damaged: no recording has so many lines",
                "What comes before it can be replayed.",
            )
        line = None
        if len(raw) <= MAX_LINE and (len(raw) <= MAX_VALUES or raw.count(b",") <= MAX_VALUES):
            try:
                # What is shown is cleaned when it is read again: this only finds where it is.
                line = _line.decode(raw)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                line = None
        if line is None or line.host not in self._known or not 0 <= line.at < END_OF_TIME:
            return self.decode(raw)
        return line

    # -- single lines

    def decode(self, raw: bytes) -> Line | Gap:
        """One line but the first, of clean text and sane times."""
        why = ""
        try:
            if len(raw) > MAX_LINE:
                why = f"it is longer than {MAX_LINE >> 20} MiB"
            elif raw.count(b",") > MAX_VALUES:
                why = f"it holds more than {MAX_VALUES:,} values"
            else:
                line = _line.decode(cleaned(raw))
                if not 0 <= line.at < END_OF_TIME:
                    why = "its time cannot be"
                elif line.host not in self._known:
                    why = "it names a host that the first line does not"
                else:
                    return line
        except RecursionError:
            why = f"it is nested deeper than {MAX_DEPTH} levels"
        except (msgspec.MsgspecError, ValueError) as error:
            why = clean(str(error), 160)
        found = _whose(raw)
        host = clean(found[1].decode("utf-8", "replace")) if found else ""
        return Gap(host if host in self._known else "", why)

    def read(self, place: int) -> Line | Gap:
        """The line that begins at ``place``."""
        self._file.seek(place)
        return self.decode(self._next()[0])

    def numbers(self, place: int) -> Line | None:
        """The same for its numbers alone: text in it is not cleaned. None where it is damaged."""
        self._file.seek(place)
        try:
            return _line.decode(self._file.readline(MAX_LINE + 1))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def tick(self, tick: int) -> Iterator[tuple[int, Line | Gap]]:
        """The lines of a tick: number and what it says. Raises RecordingError."""
        place, end = self.index.start[tick], self.index.start[tick + 1]
        number = self.index.line[tick]
        while place < end:
            self._file.seek(place)
            raw, length = self._next()
            if not raw:
                raise self._error(
                    f"line {number} is not there: the file became shorter while it was read",
                    "What comes before it can be replayed.",
                )
            yield number, self.decode(raw)
            place += length
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
