"""What a verification found: proved, wrong, and what cannot be told."""

from collections.abc import Sequence

import msgspec

from console.audit.told import Told

LIMITS = (
    "records that root on the host wrote and removed again before any console saw them: the window "
    "is one poll. What this console sent is compared, and syslog sent elsewhere narrows it further",
    "that two people did not agree to do harm: two people together may do what policy lets two do",
)
"""What no log on the host can show. Always said."""


MAX_FOUND = 500
"""Findings of one kind that are kept; the first are the ones that matter."""


class Found(msgspec.Struct, frozen=True):
    """One statement; ``record`` is the number of the record that it is about, -1 for none."""

    words: str
    record: int = -1

    def __str__(self) -> str:
        return f"record {self.record}: {self.words}" if self.record >= 0 else self.words


class Report(msgspec.Struct):
    """The result for one host. Words are made here or cleaned."""

    host: str
    records: int = 0
    signatures: int = 0
    seconds: float = 0.0
    proved: list[Found] = []
    wrong: list[Found] = []
    missing: list[Found] = []  # what would have to be there for a whole proof
    notes: list[Found] = []
    requests: list[Told] = []  # in the order of the log

    @property
    def code(self) -> int:
        """The exit status: 0 proved, 1 something is wrong, 3 not all can be proved."""
        return 1 if self.wrong else 3 if self.missing else 0

    def prove(self, words: str) -> None:
        """It holds."""
        self.proved.append(Found(words))

    def fail(self, words: str, record: int = -1) -> None:
        """It does not hold."""
        if len(self.wrong) < MAX_FOUND:
            self.wrong.append(Found(words, record))

    def lack(self, words: str) -> None:
        """It cannot be told, because something is not there."""
        self.missing.append(Found(words))

    def note(self, words: str, record: int = -1) -> None:
        """Worth knowing, and nothing wrong by itself."""
        if len(self.notes) < MAX_FOUND:
            self.notes.append(Found(words, record))


VERDICTS = {0: "proved", 1: "wrong", 3: "not-proved"}


def encoded(reports: Sequence[Report], code: int) -> str:
    """All reports as one JSON document; ``code`` is the exit status."""
    hosts = []
    for report in reports:
        fields = msgspec.structs.asdict(report)
        hosts.append({"code": report.code, "verdict": VERDICTS[report.code], **fields})
    whole = {"version": 1, "code": code, "hosts": hosts, "limits": LIMITS}
    return msgspec.json.encode(whole).decode() + "\n"
