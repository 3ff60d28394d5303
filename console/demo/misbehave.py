"""Hosts that break the rules, for tests: each kind of bad input from a real SSH server.

``KINDS`` maps the name of a kind to what it does. All but three log in like a good host and then
send something else than a good probe would.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from itertools import count, islice

import msgspec

from console.demo.fleet import digest
from console.demo.frames import FrameWriter
from console.demo.server import ADDRESS, HostPort, VerbSession
from console.demo.simulate import SimState
from console.model.frame import MAX_ROWS

LONG_LINE = 10 << 20
FLOOD_S = 0.01
FLOOD_FRAMES = 100  # each FLOOD_S: 10,000 a second
FLOOD_BUFFER = 1 << 20
CHUNK = 1_000
ESCAPES = "\x1b]52;c;cm0gLXJmIC8=\x07\x1b[2J\x1b]0;owned\x07\x9b31m\u202egpj.exe\u200b"
MARKUP = "[bold red]x[/bold red][@click=app.quit]y[/][link=https://example.invalid]z[/link]"

Source = Iterator[bytes]


def _edited(lines: Iterator[bytes], **parts: object) -> bytes:
    """Good frames with parts replaced."""
    return b"".join(
        msgspec.json.encode(msgspec.json.decode(line) | parts) + b"\n" for line in lines
    )


def _well(good: FrameWriter) -> Source:
    """As a good host sends from its second period on."""
    while True:
        yield b"".join(good.fast())


def _long_line(good: FrameWriter) -> Source:
    yield b"".join(good.keyframe()) + b'{"v":1,"seq":' + b"9" * LONG_LINE + b"\n"


def _flood(good: FrameWriter) -> Source:
    yield b"".join(good.keyframe())
    while True:
        yield b"".join(b"".join(good.fast()) for _ in range(FLOOD_FRAMES))


def _bad_utf8(good: FrameWriter) -> Source:
    yield b"".join(good.keyframe()).replace(b'"wfmon"', b'"wf\xff\xfe\xc0mon"')
    yield from _well(good)


def _text(good: FrameWriter, text: str) -> Source:
    out = []
    for line in good.keyframe():
        frame = msgspec.json.decode(line)
        if "hello" in frame:
            frame["hello"]["hostname"] = text
            frame["denied"] = {"x": text}
            event = {"kind": "log.line", "at": frame["wall"], "key": text, "facts": {"is": text}}
            frame["e"] = [event]
        if "listen" in frame.get("t", {}):
            for row in frame["t"]["listen"]["set"]:
                row[6] = text
        out.append(msgspec.json.encode(frame) + b"\n")
    yield b"".join(out)
    yield from _well(good)


def _escapes(good: FrameWriter) -> Source:
    return _text(good, ESCAPES)


def _markup(good: FrameWriter) -> Source:
    return _text(good, MARKUP)


def _clock_back(good: FrameWriter) -> Source:
    yield b"".join(good.keyframe())
    mono = good.state.uptime
    while True:
        mono -= 100
        yield _edited(good.fast(), mono=mono)


def _checksum(good: FrameWriter) -> Source:
    out = []
    for line in good.keyframe():
        frame = msgspec.json.decode(line)
        for delta in frame.get("t", {}).values():
            delta["x"] = (delta.get("x", 0) + 1) & 0xFFFFFFFF
        out.append(msgspec.json.encode(frame) + b"\n")
    yield b"".join(out)
    yield from _well(good)


def _future(good: FrameWriter) -> Source:
    yield _edited(good.keyframe(), v=2)
    while True:
        yield _edited(good.fast(), v=2)


def _half(good: FrameWriter) -> Source:
    yield b"".join(good.keyframe())
    line = next(good.fast())
    yield line[: len(line) // 2]
    yield from _nothing(good)


def _nothing(good: FrameWriter) -> Source:
    while True:
        yield b""


def _gap(good: FrameWriter) -> Source:
    yield b"".join(good.keyframe())
    seq = 1_000
    while True:
        seq += 7
        yield _edited(good.fast(), seq=seq)


def _deep(good: FrameWriter) -> Source:
    yield b"".join(good.keyframe()) + b'{"v":1,"f":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n"
    yield from _well(good)


def _no_json(good: FrameWriter) -> Source:
    yield b"Last login: Mon Nov 23 09:14:02 2026 from 10.20.0.10\n"
    while True:
        yield b"wfmon@host:~$ \n"


def _with(good: FrameWriter, part: bytes) -> Source:
    """A good keyframe, then fast frames with ``part`` put in as it is: not all of it is JSON."""
    yield b"".join(good.keyframe())
    while True:
        yield b"".join(line.rstrip(b"}\n") + b"}," + part + b"}\n" for line in good.fast())


def _infinite(good: FrameWriter) -> Source:
    return _with(good, b'"self":{"cpu_pct":1e400}')


def _digits(good: FrameWriter) -> Source:
    return _with(good, b'"e":[{"kind":"x","at":1,"facts":{"n":1' + b"0" * 5_000 + b"}}]")


def _nan(good: FrameWriter) -> Source:
    return _with(good, b'"self":{"cpu_pct":NaN}')


def _twice(good: FrameWriter) -> Source:
    return _with(good, b'"v":9,"v":1')


def _rows(good: FrameWriter) -> Source:
    out = list(good.keyframe())
    for first in range(0, MAX_ROWS + 1, CHUNK):
        ports = range(first, min(first + CHUNK, MAX_ROWS + 1))
        rows = [[f"tcp/10.0.0.1:{port}", "tcp", "10.0.0.1", port, 0] for port in ports]
        out.append(_edited(islice(good.fast(), 1), t={"listen": {"set": rows}}))
    yield b"".join(out)
    yield from _well(good)


def _kinds(good: FrameWriter) -> Source:
    yield b"".join(good.keyframe())
    for first in count(0, CHUNK):
        events = [{"kind": f"kind-{n}", "at": 1.0} for n in range(first, first + CHUNK)]
        yield _edited(good.fast(), e=events)


def _dates(good: FrameWriter) -> Source:
    yield b"".join(good.keyframe())
    while True:
        strange = (-1.0, 1e18, 1e11, 9_007_199_254_740_993.0)
        yield _edited(good.fast(), e=[{"kind": "log.line", "at": at} for at in strange])


def _same_id(good: FrameWriter) -> Source:
    other = digest("watchfloor", good.state.seed, "sim001")
    yield _edited(good.keyframe(), host=other)
    while True:
        yield _edited(good.fast(), host=other)


KINDS: dict[str, tuple[str, Callable[[FrameWriter], Source] | None]] = {
    "long-line": ("sends a line of 10 MB", _long_line),
    "flood": ("sends 10,000 frames a second", _flood),
    "bad-utf8": ("sends bytes that are not UTF-8", _bad_utf8),
    "escapes": ("sends escape sequences and invisible text", _escapes),
    "markup": ("sends markup", _markup),
    "clock-back": ("has a clock that goes back", _clock_back),
    "checksum": ("sends tables with a wrong checksum", _checksum),
    "future": ("speaks the next version of the protocol", _future),
    "half": ("sends half a frame for ever", _half),
    "nothing": ("logs in and never says anything", _nothing),
    "gap": ("leaves out frames, always", _gap),
    "deep": ("sends a frame of 100,000 levels", _deep),
    "no-json": ("has a login shell that greets", _no_json),
    "infinite": ("sends numbers that are too large for any machine", _infinite),
    "digits": ("sends a number of 5,001 digits", _digits),
    "nan": ("sends what is not a number", _nan),
    "twice": ("says the same key twice", _twice),
    "rows": ("has one listener more than a table may hold", _rows),
    "kinds": ("invents a thousand kinds of events each period", _kinds),
    "dates": ("has events from before 1970 and after the end of time", _dates),
    "same-id": ("claims the id of another host", _same_id),
    "closes": ("ends the session at once", None),
    "no-probe": ("has no python3: status 127", None),
    "mute": ("accepts TCP and never speaks SSH", None),
    "not-ssh": ("answers with HTTP", None),
    "refuses": ("accepts no key", None),
}
"""What each kind does, and what it sends in each period; None where it sends nothing."""


class BadSession(VerbSession):
    """Sends what its kind makes, one piece a period."""

    def __init__(self, kind: str, state: SimState, fast_s: float) -> None:
        super().__init__()
        self._kind = kind
        self._writer = FrameWriter(state, fast_s=fast_s)
        self._period = FLOOD_S if kind == "flood" else fast_s
        self._make = KINDS[kind][1]
        self._source: Source | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Start to misbehave."""
        if self._make is not None:
            self._source = self._make(self._writer)
            self._more()
        elif self._kind == "no-probe" and self.channel is not None:
            self.channel.write_stderr(b"sh: 1: exec: python3: not found\n")
            self.end(127)
        else:
            self.end(0)

    def verb(self, line: str) -> None:
        """A wish for a keyframe is met by the same again; all else is ignored."""
        if line.startswith("resync") and self._source is not None and self._make is not None:
            self._source = self._make(self._writer)
            self._more()

    def stop(self) -> None:
        """Stop sending."""
        if self._timer is not None:
            self._timer.cancel()
        self._source = None

    def _more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._source is None or self.channel is None:
            return
        # A flood does not care whether anybody reads, but it must not fill our own memory.
        if self.channel.get_write_buffer_size() < FLOOD_BUFFER:
            chunk = next(self._source, None)
            if chunk is None:
                return
            if chunk:
                self.channel.write(chunk)
        self._timer = asyncio.get_running_loop().call_later(self._period, self._more)


class BadHost:
    """The server of one host that misbehaves."""

    def __init__(self, kind: str, state: SimState, user_key: bytes, fast_s: float) -> None:
        what = KINDS[kind][0]
        self.kind = kind
        self.what = what
        key = b"" if kind == "refuses" else user_key
        self._ssh = HostPort(state.host.name, key, lambda: BadSession(kind, state, fast_s))
        self._tcp: asyncio.Server | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        """Listen on a free port."""
        if self.kind in ("mute", "not-ssh"):
            self._tcp = await asyncio.start_server(self._serve, ADDRESS, 0)
            self._port = int(self._tcp.sockets[0].getsockname()[1])
        else:
            await self._ssh.open()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port or self._ssh.port

    @property
    def host_key(self) -> str:
        """The key it shows, or would."""
        return self._ssh.host_key

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError):
            if self.kind == "not-ssh":
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
            else:
                while await reader.read(4_096):
                    pass
        writer.close()
        self._writers.discard(writer)

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._tcp is not None:
            self._tcp.close()
        for writer in list(self._writers):
            writer.close()
        await self._ssh.close()
