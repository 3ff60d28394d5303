"""A log as lines: the chain, the numbers, the tree, all in one pass over foreign bytes."""

import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from console.hostside.guard.audit import tlog
from console.hostside.guard.audit.log import parse, write

MAX_LINES = 5_000_000
MAX_BYTES = 1 << 30
MAX_FOUND = 50
MAX_LINE = 400 << 10  # as the guard writes them
MAX_NUMBER = 2**53
OWN = frozenset(("boot", "ev", "prev", "rid", "seq", "t"))
"""Names of fields that every record has."""
PLAIN = frozenset(("refused", "boot"))
"""Events that change nothing which other records speak of."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Record(msgspec.Struct, frozen=True):
    """One record that is exactly what a guard writes."""

    seq: int
    t: int
    boot: str
    ev: str
    rid: str
    facts: dict[str, Any]

    def text(self, name: str) -> str:
        """A fact that is a text; empty where it is none."""
        value = self.facts.get(name)
        return value if isinstance(value, str) else ""


class Walked(msgspec.Struct):
    """What one pass over the lines found. ``roots`` has the root at every size asked for."""

    size: int = 0
    root: bytes = tlog.EMPTY
    roots: dict[int, bytes] = {}
    records: list[Record] = []  # all but plain ones, where nobody takes them as they come
    plain: int = 0
    broken: list[tuple[int, str]] = []  # number of the line, what is wrong with it
    repaired: list[tuple[int, str]] = []  # number of the repairing record, what it closed
    boots: list[tuple[int, str]] = []  # where another boot begins, and its id
    backwards: list[tuple[int, str, int]] = []  # number, event, seconds that the clock went back
    hashes: list[str] = []  # sha256 of every line, by number
    last_t: int = 0


def as_line(text: str) -> bytes:
    """A line as the guard sends it, as the bytes that are in its file. Raises ValueError."""
    if text.startswith("="):
        try:
            return binascii.a2b_base64(text[1:].encode("ascii"), strict_mode=True)
        except binascii.Error:
            raise ValueError("a line that should be base64 is none") from None
    return text.encode("utf-8")


def read_line(line: bytes) -> dict[str, Any] | None:
    """A line as its record, or None where it is not exactly what a guard writes."""
    if len(line) > MAX_LINE:
        return None
    try:
        record = _decode(line)
        if _encode(record) != line:
            record = parse(line)  # the slow way knows escapes and large numbers
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        record = parse(line)
    if type(record) is not dict or not line.isascii():
        return None
    get = record.get
    seq, t = get("seq"), get("t")
    if type(seq) is not int or type(t) is not int or type(get("boot")) is not str:
        return None
    if not (-1 < seq < MAX_NUMBER and -MAX_NUMBER < t < MAX_NUMBER):
        return None
    if type(get("ev")) is not str or type(get("prev")) is not str or type(get("rid")) is not str:
        return None
    return record


def walk(
    lines: Iterable[bytes],
    sizes: Iterable[int] = (),
    take: Callable[[Record], None] | None = None,
) -> Walked:
    """Check chain and numbers of all lines, and reckon the tree at each of ``sizes``.

    ``take`` is given each record that is not plain as it comes, so that a log need not fit into the
    memory a second time; without it they are kept in ``records``.
    """
    found = Walked()
    take = take or found.records.append
    wanted = set(sizes)
    if 0 in wanted:
        found.roots[0] = tlog.EMPTY
    edge: list[bytes] = []
    push, root, sha256 = tlog.push, tlog.root, hashlib.sha256
    hashes, torn = found.hashes, []
    boot, last, t = "", "", 0
    for number, line in enumerate(lines):
        record = read_line(line)
        push(edge, number, sha256(b"\0" + line).digest())
        before, last = last, sha256(line).hexdigest()
        hashes.append(last)
        if number + 1 in wanted:
            found.roots[number + 1] = root(edge)
        if record is None:
            torn.append((number, line))
            continue
        if torn:
            _closed(found, torn, record, number)
            torn = []
        if record["prev"] != before:
            _bad(found, number, "does not follow the line before it (prev is another)")
        if record["seq"] != number:
            _bad(found, number, f"has the number {record['seq']}")
        if record["boot"] != boot:
            boot = record["boot"]
            found.boots.append((number, boot))
        if record["t"] < t and len(found.backwards) < MAX_FOUND:
            found.backwards.append((number, record["ev"], t - record["t"]))
        t = max(t, record["t"]) if record["ev"] != "clock_reset" else record["t"]
        if record["ev"] in PLAIN:
            found.plain += 1
        else:
            take(_record(record))
    for number, _ in torn:
        _bad(found, number, "is no record: torn by a loss of power, or written by something else")
    found.size, found.root, found.last_t = len(hashes), root(edge), t
    return found


def _record(record: dict[str, Any]) -> Record:
    return Record(
        record["seq"], record["t"], record["boot"], record["ev"], record["rid"], record
    )  # fmt: skip


def _bad(found: Walked, number: int, why: str) -> None:
    if len(found.broken) < MAX_FOUND:
        found.broken.append((number, why))


def _closed(
    found: Walked, torn: Sequence[tuple[int, bytes]], record: dict[str, Any], number: int
) -> None:
    """Lines that are no records are all right where the next record is the repair of them."""
    whole = hashlib.sha256(b"\n".join(line for _, line in torn)).hexdigest()
    if record["ev"] == "repaired" and record.get("torn") == whole:
        found.repaired.append((number, f"a torn end of {len(torn)} line(s) was closed"))
        return
    for at, _ in torn:
        _bad(found, at, "is no record, and no repair closes it")


__all__ = [
    "MAX_BYTES", "MAX_LINES", "OWN", "Record", "Walked", "as_line", "read_line", "walk", "write",
]  # fmt: skip
