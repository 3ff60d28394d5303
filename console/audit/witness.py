"""Every checkpoint and signed document that a host shows, kept as evidence and compared at once.

The alarm is raised when it happens, and ``watchfloor audit verify`` shows it again years later.
"""

import msgspec

from console.audit.checkpoint import BadCheckpoint, Checkpoint, read
from console.audit.records import as_line, read_line
from console.hostside.guard.trust.sshsig import fingerprint
from console.store.witness import Witness
from console.text import clean

MAX_TAIL = 512


class Alarm(msgspec.Struct, frozen=True):
    """What is wrong with a host's audit log: the kind of the event, and words for a person."""

    # "audit." and rollback, fork, other-key, unsigned, unreadable, or full
    kind: str
    words: str
    hint: str = "keep the host as it is; run `watchfloor audit verify` against it"


class Watch:
    """Takes what hosts publish. Calls write to the disk: make them outside the event loop."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._newest: dict[str, Checkpoint] = {}
        self._shown: dict[str, dict[int, bytes]] = {}  # newest records by host and number
        self._told: set[tuple[str, str]] = set()

    def saw(self, host: str, kind: str, data: bytes) -> list[Alarm]:
        """Keep a document of the guard's spool as it came; what is wrong with it, each once.

        Raises StoreError where it cannot be kept.
        """
        if kind == "checkpoint":
            found = self._checkpoint(host, data)
        elif kind == "tail":
            found = self._tail(host, data)
        elif kind == "request":
            found = self._request(host, data)
        else:
            return []
        if self._witness.full(host):
            found.append(Alarm("audit.full", "shows more than is kept of one host: it floods"))
        return self._once(host, found)

    def failed(self, host: str, kind: str, defect: Exception) -> list[Alarm]:
        """What is told of a document on which ``saw`` failed by a defect of this console."""
        words = f"this console failed on its {clean(kind, 20)}: {type(defect).__name__}"
        return self._once(host, [Alarm("audit.unreadable", words)])

    def _once(self, host: str, found: list[Alarm]) -> list[Alarm]:
        new = [alarm for alarm in found if (host, alarm.words) not in self._told]
        if len(self._told) < 10_000:
            self._told.update((host, alarm.words) for alarm in new)
        return new

    def _checkpoint(self, host: str, data: bytes) -> list[Alarm]:
        try:
            seen = read(data)
        except BadCheckpoint as bad:
            return [
                Alarm("audit.unsigned", f"shows a checkpoint of its audit log that is none: {bad}")
            ]
        key = self._witness.pin(host, seen.key, "first-sight")
        if seen.key != key:
            words = (
                f"its audit log is signed by {fingerprint(seen.key)}, and not by the key known here"
            )
            return [Alarm("audit.other-key", words)]
        last = self._newest.get(host) or self._kept(host)
        self._witness.keep(host, "checkpoint", seen.size, seen.dump())
        if last is None or seen.size > last.size:
            self._newest[host] = seen
            return []
        self._newest[host] = last
        if seen.size < last.size:
            words = f"its audit log was rolled back: it had {last.size} records, it has {seen.size}"
            return [Alarm("audit.rollback", words)]
        if seen.root != last.root:
            words = f"it signed two different audit logs of {seen.size} records"
            return [Alarm("audit.fork", words)]
        return []

    def _kept(self, host: str) -> Checkpoint | None:
        newest = self._witness.newest(host, "checkpoint")
        try:
            return read(newest.data) if newest is not None else None
        except BadCheckpoint:
            return None

    def _tail(self, host: str, data: bytes) -> list[Alarm]:
        shown = self._shown.setdefault(host, {})
        new: list[tuple[int, bytes]] = []
        other = readable = False
        for line in _lines(data):
            record = read_line(line)
            if record is None:
                continue
            readable = True
            seq = record["seq"]
            if not 0 <= seq < 2**53 or shown.get(seq) == line:
                continue
            other = other or seq in shown
            new.append((seq, line))
        self._witness.keep_all(host, "record", new)
        shown.update(new)
        for seq in sorted(shown)[: max(0, len(shown) - MAX_TAIL)]:
            del shown[seq]
        if other:
            return [Alarm("audit.fork", "a record of its audit log is not what it was before")]
        if not readable and data.strip() not in (b"", b"[]", b'{"records":[]}'):
            return [Alarm("audit.unreadable", "shows records of its log that are not readable")]
        return []

    def _request(self, host: str, data: bytes) -> list[Alarm]:
        try:
            envelope = msgspec.json.decode(data)
            kept = {name: envelope[name] for name in ("request", "signature", "decisions")}
        except (msgspec.MsgspecError, ValueError, KeyError, TypeError, RecursionError):
            return [Alarm("audit.unreadable", "shows a request that is not readable")]
        self._witness.keep(host, "request", 0, msgspec.json.encode(kept, order="sorted"))
        return []


def _lines(data: bytes) -> list[bytes]:
    """The records of a ``tail``: ``{"records": [texts]}``, a list of texts, or the lines."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return data.split(b"\n")[-MAX_TAIL:]
    if isinstance(found, dict) and "records" not in found:
        return [data.strip(b"\n")]
    texts = found.get("records") if isinstance(found, dict) else found
    lines = []
    for text in texts[-MAX_TAIL:] if isinstance(texts, list) else []:
        if isinstance(text, str):
            try:
                lines.append(as_line(text))
            except ValueError:
                continue
    return lines
