"""Tables as the console has them, and what must be sent so that it has the newest."""

from __future__ import annotations

from zlib import crc32

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    Row = list[Any]

CHUNK_ROWS = 2000
CHUNK_BYTES = 480 * 1024
MAX_ROWS = 65_536


class Table:
    """One table: ``put`` the newest rows, take the ``changes`` since the last time.

    Rows must not be changed after they were put: what is on its way refers to them.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.on = False
        self._now: dict[int | str, Row] = {}
        self._sent: dict[int | str, Row] = {}
        self._told = False  # the console knows that this table exists
        self._fresh = False

    def put(self, rows: Mapping[int | str, Row]) -> None:
        """Take the whole newest table; at most 65,536 rows of it."""
        self._now = dict(rows) if len(rows) <= MAX_ROWS else dict(list(rows.items())[:MAX_ROWS])
        self.on = True
        self._fresh = True

    def forget(self) -> None:
        """The console knows nothing any more (keyframe)."""
        self._sent = {}
        self._told = False
        self._fresh = True

    def drop(self) -> None:
        """Send the table no longer."""
        self.on = False
        self._now = {}
        self._fresh = True

    @property
    def rows(self) -> dict[int | str, Row]:
        """The newest rows by key."""
        return self._now

    def changes(self, encode: Callable[[Any], str]) -> Iterator[str]:
        """JSON texts of ``TableDelta``; the last one carries count and checksum.

        The state is taken when this is called first, and may be changed while chunks of it wait.
        """
        if not self._fresh:
            return
        self._fresh = False
        if not self.on:
            if self._told:
                self._sent = {}
                self._told = False
                yield '{"off":true}'
            return
        now, sent = self._now, self._sent
        changed = [row for key, row in now.items() if sent.get(key) != row]
        gone = [key for key in sent if key not in now]
        if not changed and not gone and self._told:
            return
        self._sent = dict(now)
        self._told = True
        tail = f'"n":{len(now)},"x":{checksum(now)}'
        yield from _chunks(changed, gone, tail, encode)


def checksum(keys: Mapping[int | str, Any]) -> int:
    """Exclusive or of ``crc32`` over the text of every key."""
    value = 0
    for key in keys:
        value ^= crc32(str(key).encode())
    return value


def _chunks(
    changed: list[Row], gone: list[int | str], tail: str, encode: Callable[[Any], str]
) -> Iterator[str]:
    while len(gone) > CHUNK_ROWS:
        part, gone = gone[:CHUNK_ROWS], gone[CHUNK_ROWS:]
        yield '{"gone":' + encode(part) + "}"
    texts: list[str] = []
    size = 0
    head = '"gone":' + encode(gone) + "," if gone else ""
    size = len(head)
    for row in changed:
        text = encode(row)
        if texts and (size + len(text) > CHUNK_BYTES or len(texts) >= CHUNK_ROWS - len(gone)):
            yield "{" + head + '"set":[' + ",".join(texts) + "]}"
            texts, size, head, gone = [], 0, "", []
        texts.append(text)
        size += len(text) + 1
    if texts:
        head += '"set":[' + ",".join(texts) + "],"
    yield "{" + head + tail + "}"
