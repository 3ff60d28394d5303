"""The demo's SSH servers, spoken to by the console's own transport."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncssh
import pytest

from console.demo.fleet import fleet
from console.demo.server import HostPort, SimSession
from console.demo.simulate import SimState
from console.errors import AuthError, ConnectError, HostKeyError
from console.fleet.decode import decode
from console.model.frame import Frame
from console.model.host import Host
from console.model.link import Link
from console.ssh.transport import Start, Transports


class Sink:
    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.said: list[str] = []
        self.ended: list[Exception | None] = []
        self._rest = b""

    def data(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self.frames += [decode(line).frame for line in lines]

    def narration(self, text: str) -> None:
        self.said.append(text)

    def closed(self, error: Exception | None) -> None:
        self.ended.append(error)


async def until(condition: Callable[[], object], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


class Place:
    """One simulated host, its server, and a console that may log in."""

    def __init__(self, folder: Path) -> None:
        self.key = folder / "id_demo"
        key = asyncssh.generate_private_key("ssh-ed25519")
        self.key.touch(mode=0o600)
        self.key.write_bytes(key.export_private_key())
        self.state = SimState(fleet()[1], 1, time.time)
        self.opened = 0
        self.port = HostPort("h", key.public_data, self._session)
        self.links: list[Link] = []
        self.transports: list[Transports] = []

    def _session(self) -> SimSession:
        return SimSession(self.state, 0.1, 0.3, self._count)

    def _count(self) -> None:
        self.opened += 1

    def host(self, **other: str) -> Host:
        return Host(
            name="h",
            address="127.0.0.1",
            port=self.port.port,
            user=other.get("user", "wfmon"),
            key=other.get("key", str(self.key)),
            host_key=(self.port.host_key,),
        )

    async def link(self, sink: Sink, host: Host | None = None, first: bytes = b"") -> Link:
        host = host or self.host()
        transports = Transports({}, starter=lambda _: Start("anything at all", first))
        self.transports.append(transports)
        link = await transports.open(host, sink)
        self.links.append(link)
        return link


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    await place.port.open()
    yield place
    for link in place.links:
        await link.close()
    for transports in place.transports:
        await transports.close()
    await place.port.close()


async def test_any_command_is_answered_by_the_probe(place: Place) -> None:
    sink = Sink()
    await place.link(sink, first=b"12\nabc\nfocus on")  # a source of tier 0, swallowed whole
    await until(lambda: len(sink.frames) > 8, "frames come")
    assert sink.frames[0].k == 1
    assert [frame.seq for frame in sink.frames] == list(range(1, len(sink.frames) + 1))
    assert place.opened == 1
    assert not any(frame.e for frame in sink.frames)


async def test_verbs_are_obeyed_and_events_come_at_once(place: Place) -> None:
    sink = Sink()
    link = await place.link(sink)
    await until(lambda: sink.frames, "the keyframe comes")
    link.send("focus on")
    await until(lambda: any("procs" in frame.t for frame in sink.frames), "the processes come")
    place.state.emit("auth.failed", "root", user="root")
    await until(lambda: any(frame.e for frame in sink.frames), "the event comes")
    link.send("resync")
    await until(lambda: sum(frame.k for frame in sink.frames) == 2, "a second keyframe comes")


async def test_only_the_demo_s_key_and_account_may_log_in(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "id_other"
    other.touch(mode=0o600)
    other.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    with pytest.raises(AuthError):
        await place.link(Sink(), place.host(key=str(other)))
    with pytest.raises(AuthError):
        await place.link(Sink(), place.host(user="root"))


async def test_no_forwarding_no_files_no_terminal(place: Place) -> None:
    async with asyncssh.connect(
        "127.0.0.1",
        place.port.port,
        username="wfmon",
        client_keys=[str(place.key)],
        known_hosts=None,
        config=None,
    ) as connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", place.port.port)
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 9)
        with pytest.raises(asyncssh.Error):
            await connection.start_sftp_client()


async def test_a_silent_host_keeps_its_connection(place: Place) -> None:
    sink = Sink()
    await place.link(sink)
    await until(lambda: len(sink.frames) > 6, "frames come")
    place.state.silent = True
    await asyncio.sleep(0.05)
    before = len(sink.frames)
    place.state.emit("auth.failed", "root", user="root")
    await asyncio.sleep(0.5)  # five fast periods in which nothing may come
    assert len(sink.frames) <= before
    assert not sink.ended


async def test_another_host_key_breaks_connections_and_is_refused(place: Place) -> None:
    pinned = place.host()
    sink = Sink()
    await place.link(sink, pinned)
    place.port.change_key()
    await until(lambda: sink.ended, "the connection breaks")
    with pytest.raises(HostKeyError) as caught:
        await place.link(Sink(), pinned)
    assert caught.value.offered.startswith("SHA256:")
    await place.link(Sink(), place.host())  # with the new key pinned it is a host like before


async def test_a_host_that_is_gone_refuses_connections(place: Place) -> None:
    sink = Sink()
    await place.link(sink)
    place.port.vanish()
    await until(lambda: sink.ended, "the connection breaks")
    with pytest.raises(ConnectError):
        await place.link(Sink())


async def test_a_console_that_does_not_read_costs_nothing_and_is_answered_later(
    place: Place,
) -> None:
    sink = Sink()
    link = await place.link(sink)
    await until(lambda: sink.frames, "the keyframe comes")
    link.pause()
    for _ in range(8):
        link.send("resync")
    await asyncio.sleep(0.5)
    link.resume()
    await until(lambda: sum(frame.k for frame in sink.frames) >= 9, "all keyframes come")
    assert [frame.seq for frame in sink.frames] == list(range(1, len(sink.frames) + 1))
