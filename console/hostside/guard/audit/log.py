"""The host's audit log: a chain of records, and checkpoints of it signed by the host.

One record is one line of JSON, keys sorted, ASCII only (so that showing the file shows no more
than text): ``{"boot","ev","prev","rid","seq","t",…}``. ``prev`` is the sha256 of the line before,
``seq`` the number of the line. A checkpoint is the body of a C2SP tlog-checkpoint: origin, number
of records, base64 of the RFC 6962 root. Lines are never rewritten and never removed.

``log.jsonl`` is the log; ``edge`` (state of the tree), ``index`` (offset of every 64th record),
``checkpoint.json`` and ``refused.json`` (counts) can all be made again from it or start anew.
"""

from __future__ import annotations

import fcntl
import json
import os

from ..refused import Refused
from . import logfiles as files
from . import tlog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..spawn import Running
    from ..world import Ran, World

NAMESPACE = "checkpoint-v1@watchfloor"
MAX_LINE = 400 << 10
REFUSED_DAY = 256 << 10  # bytes of refusals a day; beyond it they are only counted
REFUSED_RULES = 64
SIGN_S = 10.0
AUTHPRIV_NOTICE = 10 << 3 | 5  # facility and severity of RFC 5424
OWN = frozenset(("boot", "ev", "prev", "rid", "seq", "t"))


def write(record: dict[str, Any]) -> bytes:
    """A record as its line, without the newline. Raises ValueError or TypeError for no JSON."""
    return json.dumps(
        record, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def parse(line: bytes) -> dict[str, Any] | None:
    """A line as its record, or None where it is not exactly what ``write`` writes."""
    try:
        record = json.loads(line)
        if type(record) is not dict or write(record) != line:
            return None
    except (ValueError, RecursionError):
        return None
    return record


def shown(line: bytes) -> str:
    """A line as text for an answer: as it is, or ``=`` and base64 where it is no record."""
    if line[:1] == b"{":
        try:
            return line.decode("ascii")
        except UnicodeDecodeError:
            pass
    from base64 import b64encode

    return "=" + b64encode(line).decode()


class Log:
    """The log in ``folder``, signed with the key at ``key_path``.

    ``origin`` names it in checkpoints. ``now`` gives whole seconds, ``boot`` the boot id. Whoever
    appends holds the guard's lock; the file is locked too, as a second line.
    """

    def __init__(
        self,
        folder: str,
        key_path: str,
        origin: str,
        world: World,
        now: Callable[[], int],
        boot: Callable[[], str],
    ) -> None:
        self.folder = folder
        self.key_path = key_path
        self.origin = origin
        self.world = world
        self.now = now
        self.boot = boot
        self.path = folder + "/log.jsonl"
        self._state: files.State | None = None
        self._begun: tuple[str, Running | None] = ("", None)  # a checkpoint that is being signed

    # ---- writing

    def append(self, ev: str, rid: str, facts: dict[str, Any]) -> None:
        """Write a record and have it on the disk before this returns.

        Raises Refused: ``audit-write`` where it cannot be written (then nothing may be done),
        ``audit-torn`` or ``audit-short`` where the log is not whole.
        """
        try:
            handle = files.open_log(self.path)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                self._append(handle, ev, rid, facts)
            finally:
                os.close(handle)
        except OSError as error:
            self._state = None
            raise _unwritten(error.strerror or "error") from None

    def _append(self, handle: int, ev: str, rid: str, facts: dict[str, Any]) -> None:
        self._write(handle, self._at_end(handle), ev, rid, facts)

    def _write(
        self, handle: int, state: files.State, ev: str, rid: str, facts: dict[str, Any]
    ) -> None:
        record = dict(facts)
        if not OWN.isdisjoint(record):
            raise Refused("audit-write", "a fact has the name of a field of the audit record")
        record.update(
            boot=self.boot(), ev=ev, prev=state.last, rid=rid, seq=state.size, t=self.now()
        )
        try:
            line = write(record)
        except (ValueError, TypeError):
            raise Refused("audit-write", "a fact of the audit record is no JSON") from None
        if len(line) > MAX_LINE:
            raise Refused("audit-write", "the audit record would be longer than 400 KiB")
        files.write_all(handle, line + b"\n")
        os.fsync(handle)
        state.add(line)
        self._elsewhere(ev, rid, state)

    def _elsewhere(self, ev: str, rid: str, state: files.State) -> None:
        """The record's number and digest for the system's log, which may be sent to another
        machine: what root removes here then still stands there. Never waits, never fails."""
        import _socket as socket  # what is needed of it, without 2 ms of the rest

        words = f"audit seq={state.size - 1} ev={ev} rid={rid[:64] or '-'} sha256={state.last}"
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            log = socket.socket(socket.AF_UNIX, kind)
        except OSError:
            return
        try:
            data = f"<{AUTHPRIV_NOTICE}>watchfloor-guard[{os.getpid()}]: {words}"
            log.sendto(data.encode("ascii", "replace"), self.world.path("/dev/log"))
        except OSError:
            pass
        finally:
            log.close()

    def refused(self, rule: str, words: str) -> None:
        """Record a refusal: the first of a rule in a minute at once, the others as a count.

        Never raises: the refusal stands whether or not it can be recorded.
        """
        minute = self.now() // 60
        try:
            counts = files.read_json(self.folder + "/refused.json", 64 << 10)
            fresh = counts.get("minute") != minute
            counts = self._counted(counts, minute) if fresh else counts
            rules: dict[str, int] = counts["rules"]
            name = rule if rule in rules or len(rules) < REFUSED_RULES else "other"
            if name not in rules and counts["spent"] < REFUSED_DAY:
                rules[name] = 0
                facts = {"rule": rule[:64], "words": words[:300], "count": 1}
                counts["spent"] += len(write(facts)) + 300
                self.append("refused", "", facts)
            else:
                rules[name] = rules.get(name, 0) + 1
            files.write_json(self.folder + "/refused.json", counts)
        except (Refused, OSError, ValueError, TypeError, KeyError, AttributeError):
            return

    def _counted(self, counts: dict[str, Any], minute: int) -> dict[str, Any]:
        """Write what was counted until now, where the day's share allows it; the new counts."""
        day = minute // 1440
        rules = {}
        spent = int(counts.get("spent", 0)) if counts.get("day") == day else 0
        for rule, count in sorted(dict(counts.get("rules", {})).items()):
            if type(count) is not int or count < 1:
                continue
            if spent >= REFUSED_DAY:
                rules[rule] = count  # carried on until the next day's share
                continue
            facts = {"rule": str(rule)[:64], "count": count, "since": int(counts["minute"]) * 60}
            spent += len(write(facts)) + 300
            self.append("refused", "", facts)
        return {"minute": minute, "day": day, "spent": spent, "rules": rules}

    # ---- checkpoints

    def checkpoint(self) -> dict[str, str]:
        """The signed checkpoint of the whole log: ``{"body", "signature"}``, texts.

        The one of before where nothing was added. Raises Refused: ``audit-sign`` where it cannot
        be signed, ``audit-torn``, ``audit-short``, ``audit-write``.
        """
        try:
            handle = files.open_log(self.path)
            try:
                fcntl.flock(handle, fcntl.LOCK_SH)
                state = self._at_end(handle)
            finally:
                os.close(handle)
            body = self._body(state)
            place = self.folder + "/checkpoint.json"
            old = files.read_json(place, 16 << 10)
            if old.get("body") == body and type(old.get("signature")) is str:
                return {"body": body, "signature": old["signature"]}
            ran = self._signed(body)
            if ran.code or not ran.out.startswith(b"-----BEGIN SSH SIGNATURE-----"):
                raise Refused(
                    "audit-sign",
                    "the checkpoint of the audit log cannot be signed",
                    "look at the host's audit key and at ssh-keygen",
                )
            signed = {"body": body, "signature": ran.out.decode("ascii", "replace")}
            state.save(self.folder)
            files.write_json(place, signed)
        except OSError as error:
            raise _unwritten(error.strerror or "error") from None
        return signed

    def ahead(self) -> None:
        """Begin to sign a checkpoint of the log as it is; ``checkpoint`` waits for it. Never
        raises, and changes nothing."""
        try:
            handle = files.open_log(self.path)
            try:
                body = self._body(self._at_end(handle))
            finally:
                os.close(handle)
            if files.read_json(self.folder + "/checkpoint.json", 16 << 10).get("body") != body:
                self._begun = body, self.world.begin(self._argv(), body.encode())
        except (Refused, OSError):
            return

    def _argv(self) -> list[str]:
        return ["ssh-keygen", "-q", "-Y", "sign", "-n", NAMESPACE, "-f", self.key_path]

    def _signed(self, body: str) -> Ran:
        (begun, running), self._begun = self._begun, ("", None)
        if running is not None:
            ran = self.world.ended(running, SIGN_S)
            if begun == body:
                return ran
        return self.world.run(self._argv(), stdin=body.encode(), timeout=SIGN_S)

    def _body(self, state: files.State) -> str:
        from base64 import b64encode

        root = b64encode(tlog.root(state.edge)).decode()
        return f"{self.origin}\n{state.size}\n{root}\n"

    def flush(self) -> dict[str, str]:
        """``checkpoint`` at the end of a call; empty where it cannot be made now. Never raises:
        what was appended is on the disk, and the next call signs it."""
        try:
            counts = files.read_json(self.folder + "/refused.json", 64 << 10)
            minute = self.now() // 60
            if any(dict(counts.get("rules", {})).values()) and counts.get("minute") != minute:
                files.write_json(self.folder + "/refused.json", self._counted(counts, minute))
        except (Refused, OSError, ValueError, TypeError, KeyError):
            pass
        try:
            return self.checkpoint()
        except Refused:
            return {}

    # ---- reading

    def tail(self, n: int) -> list[str]:
        """The newest ``n`` lines or fewer (at most 256 KiB), the oldest first."""
        if n < 1:
            return []
        try:
            handle = files.open_log(self.path)
            try:
                size = os.fstat(handle).st_size
                start = max(0, size - (256 << 10))
                data = os.pread(handle, size - start, start)
            finally:
                os.close(handle)
        except OSError as error:
            raise _unwritten(error.strerror or "error") from None
        data = data[: data.rfind(b"\n") + 1]
        if start:
            data = data[data.find(b"\n") + 1 :]
        return [shown(line) for line in data.split(b"\n")[:-1][-n:]]

    def recent(self, n: int) -> list[dict[str, Any]]:
        """The records among the newest ``n`` lines; a torn line that was closed is none."""
        found = (parse(line.encode("ascii", "replace")) for line in self.tail(n))
        return [record for record in found if record is not None]

    def read(self, start: int, limit_bytes: int) -> tuple[list[str], int]:
        """Lines from record ``start`` on, up to ``limit_bytes`` of them but at least one, and the
        number of records in the log. Raises Refused as ``check`` does."""
        try:
            handle = files.open_log(self.path)
            try:
                state = self._at_end(handle)
                if not 0 <= start < state.size:
                    return [], state.size
                at, first = state.near(start, self.folder, handle)
                lines = files.lines(handle, at, state.offset)
                found: list[str] = []
                used = 0
                for number, line in enumerate(lines, first):
                    if number < start:
                        continue
                    text = shown(line)
                    used += len(text) + 4
                    if found and used > limit_bytes:
                        break
                    found.append(text)
                return found, state.size
            finally:
                os.close(handle)
        except OSError as error:
            raise _unwritten(error.strerror or "error") from None

    # ---- whole or not

    def check(self) -> None:
        """Raise Refused where the log is not whole: ``audit-torn`` where its end is no record,
        ``audit-short`` where it is shorter than it was."""
        try:
            handle = files.open_log(self.path)
            try:
                self._at_end(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise _unwritten(error.strerror or "error") from None

    def repair(self) -> None:
        """Close a torn end with a record that says so. Nothing is removed: the torn bytes stay as
        a line, and the record holds their digest. Does nothing where the log is whole."""
        try:
            handle = files.open_log(self.path)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                known = files.load(self.folder)
                state, torn = files.walk(handle)
                facts: dict[str, Any] = {}
                if torn:
                    facts.update(torn=files.digest(torn), lines=len(torn))
                if known and known.size > state.size + len(torn):
                    facts["lost"] = known.size - state.size - len(torn)
                elif known and not known.joins(handle):
                    facts["changed"] = True
                if facts:
                    if not files.ends(handle):
                        files.write_all(handle, b"\n")
                    for line in torn:
                        state.add(line)
                    self._write(handle, state, "repaired", "", facts)
                self._state = state
                state.save(self.folder)
            finally:
                os.close(handle)
        except OSError as error:
            raise _unwritten(error.strerror or "error") from None

    def _at_end(self, handle: int) -> files.State:
        """The state of the tree at the end of the file. Raises Refused where it is not whole."""
        size = os.fstat(handle).st_size
        state = self._state or files.load(self.folder)
        hint = "compare it on a console (watchfloor audit verify), then as root: guard repair"
        if state is not None and size < state.offset:
            raise Refused("audit-short", "the audit log is shorter than it was", hint)
        if state is None:
            state, torn = files.walk(handle)
        elif state.joins(handle):
            torn = files.follow(handle, state)
        else:
            raise Refused("audit-short", "the audit log was changed: a record is another", hint)
        if torn:
            raise Refused(
                "audit-torn",
                "the audit log does not end with a whole record",
                "on the host, as root: guard repair",
            )
        self._state = state
        return state


def _unwritten(why: str) -> Refused:
    return Refused(
        "audit-write", f"the audit log cannot be written or read: {why}", "free the host's disk"
    )
