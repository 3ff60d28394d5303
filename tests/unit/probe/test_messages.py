"""Log messages as events: real forms of OpenSSH 8 to 10, sudo and the NVIDIA driver."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.hostside.probe import entries, messages

AUTH: list[tuple[str, str, tuple[str, str, int, str]]] = [
    (
        "Accepted publickey for root from 127.0.0.1 port 36934 ssh2: ED25519 SHA256:5SRq9yZ0",
        "auth.accepted",
        ("root", "127.0.0.1", 36934, "publickey"),
    ),
    (
        "Accepted publickey for ops from fd00::7 port 2 ssh2: ED25519-CERT SHA256:aa ID mallory "
        "from 9.9.9.9 port 1 ssh2 (serial 0) CA ED25519 SHA256:bb",
        "auth.accepted",
        ("ops", "fd00::7", 2, "publickey"),
    ),
    (
        "Accepted keyboard-interactive/pam for alice from 10.0.0.5 port 40000 ssh2",
        "auth.accepted",
        ("alice", "10.0.0.5", 40000, "keyboard-interactive/pam"),
    ),
    (
        "Failed password for invalid user ghost from 203.0.113.9 port 51234 ssh2",
        "auth.failed",
        ("ghost", "203.0.113.9", 51234, "password"),
    ),
    (
        "Failed password for root from 1.2.3.4 port 5 ssh2 from 203.0.113.9 port 51234 ssh2",
        "auth.failed",
        ("root from 1.2.3.4 port 5 ssh2", "203.0.113.9", 51234, "password"),
    ),
    (
        "Failed publickey for root from 203.0.113.9 port 7 ssh2: ED25519 SHA256:abc",
        "auth.failed",
        ("root", "203.0.113.9", 7, "publickey"),
    ),
    (
        "Failed publickey for x from 6.6.6.6 port 7 ssh2: A SHA256:b from 203.0.113.9 port 9 "
        "ssh2: ED25519 SHA256:abc",
        "auth.failed",
        ("x from 6.6.6.6 port 7 ssh2: A SHA256:b", "", 0, "publickey"),
    ),
    (
        "Invalid user nosuch from fe80::1%eth0 port 1024",
        "auth.failed",
        ("nosuch", "fe80::1%eth0", 1024, "invalid-user"),
    ),
    ("Invalid user  from 10.0.0.1 port 4", "auth.failed", ("", "10.0.0.1", 4, "invalid-user")),
    (
        "Connection closed by authenticating user root 203.0.113.9 port 44 [preauth]",
        "auth.failed",
        ("root", "203.0.113.9", 44, "closed"),
    ),
    (
        "Disconnected from authenticating user bob 10.1.1.1 port 9 [preauth]",
        "auth.failed",
        ("bob", "10.1.1.1", 9, "closed"),
    ),
    (
        "error: maximum authentication attempts exceeded for invalid user admin from 10.0.0.2 "
        "port 90 ssh2 [preauth]",
        "auth.failed",
        ("admin", "10.0.0.2", 90, "exceeded"),
    ),
    (
        "User eve from 10.0.0.3 not allowed because not listed in AllowUsers",
        "auth.failed",
        ("eve", "10.0.0.3", 0, "refused"),
    ),
    (
        "banner exchange: Connection from 10.0.0.4 port 1: invalid format",
        "auth.failed",
        ("", "10.0.0.4", 1, "scan"),
    ),
]


@pytest.mark.parametrize(("message", "kind", "want"), AUTH, ids=lambda v: str(v)[:50])
def test_sshd(message: str, kind: str, want: tuple[str, str, int, str]) -> None:
    found = messages.sshd(message)
    assert found is not None
    facts = found.facts
    assert found.kind == kind
    assert (facts["user"], facts["source"], facts["port"], facts["method"]) == want
    assert found.key == want[0]
    assert facts["message"] == message


@pytest.mark.parametrize(
    "message",
    [
        "Server listening on 0.0.0.0 port 22.",
        "Connection closed by invalid user ghost 203.0.113.9 port 51234 [preauth]",
        "Received disconnect from 10.0.0.1 port 2:11: disconnected by user",
        "pam_unix(sshd:session): session opened for user root(uid=0) by (uid=0)",
        "",
    ],
)
def test_sshd_says_much_that_is_no_login(message: str) -> None:
    assert messages.sshd(message) is None


@pytest.mark.parametrize(
    ("message", "user", "command", "target", "note"),
    [
        (
            "   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id -u",
            "alice",
            "/usr/bin/id -u",
            "root",
            "",
        ),
        (
            "bob : 3 incorrect password attempts ; TTY=pts/1 ; PWD=/ ; USER=root ; "
            "ENV=X=1 ; COMMAND=/bin/sh -c mysql -pabc --password=hunter2222",
            "bob",
            "/bin/sh -c mysql -p[redacted] --password=[redacted]",
            "root",
            "3 incorrect password attempts",
        ),
        (
            "eve : user NOT in sudoers ; TTY=unknown ; PWD=/tmp/a ; USER=x ; USER=www-data ; "
            "GROUP=g ; COMMAND=/bin/true",
            "eve",
            "/bin/true",
            "x",
            "user NOT in sudoers",
        ),
    ],
)
def test_sudo(message: str, user: str, command: str, target: str, note: str) -> None:
    found = messages.sudo(message)
    assert found is not None
    assert (found.kind, found.key) == ("auth.sudo", user)
    assert found.facts == {"user": user, "command": command, "target": target, "message": note}


def test_xid() -> None:
    found = messages.kernel(
        "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off"
    )
    assert found is not None
    assert (found.kind, found.key) == ("kernel.xid", "0000:3b:00/79")
    assert (found.facts["xid"], found.facts["pid"]) == (79, None)
    found = messages.kernel("NVRM: Xid (PCI:0000:10:1c): 63, pid=1896, Row Remapper: New row")
    assert found is not None
    assert (found.facts["pid"], found.facts["message"]) == (1896, "pid=1896, Row Remapper: New row")


def test_other_lines_of_the_kernel() -> None:
    found = messages.kernel("Out of memory: Killed process 77 (vllm) total-vm:1kB")
    assert found is not None
    assert (found.kind, found.key) == ("log.line", "kernel")
    assert messages.kernel("usb 1-1: new high-speed USB device") is None


def test_no_line_of_the_kernel_that_counts_is_skipped_unparsed() -> None:
    for text in (
        "NVRM: Xid (PCI:0000:3b:00): 79, x",
        "Out of memory: Killed process 77",
        "EXT4-fs error (device sda1)",
        "mce: [Hardware Error]: CPU 1",
        "blk_update_request: I/O error, dev sda",
        "INFO: task x blocked for more than 120 seconds.",
        "Lockdown: x: /dev/mem is restricted",
    ):
        assert messages.kernel(text) is not None
        assert any(mark in text.encode() for mark in messages.KERNEL_MARKS), text


@given(st.text(max_size=300))
def test_any_message_is_read_calmly(text: str) -> None:
    for head in ("", "Failed password for ", "Accepted publickey for ", "NVRM: Xid (PCI:"):
        for read in (messages.sshd, messages.sudo, messages.kernel):
            found = read(head + text)
            if found is not None:
                assert all(len(v) <= 512 for v in found.facts.values() if isinstance(v, str))


@given(st.text(st.characters(exclude_characters="\n\0"), max_size=60))
def test_no_user_name_can_claim_the_source_of_a_failed_password(name: str) -> None:
    message = f"Failed password for invalid user {name} from 203.0.113.9 port 51234 ssh2"
    found = messages.sshd(message)
    assert found is not None
    assert (found.facts["source"], found.facts["port"]) == ("203.0.113.9", 51234)


def journal_line(**fields: Any) -> bytes:
    base = {"__CURSOR": "s=ab;i=1;b=c", "__REALTIME_TIMESTAMP": "1700000000500000"}
    return json.dumps({**base, **fields}).encode()


ACCEPTED = "Accepted publickey for root from 127.0.0.1 port 36934 ssh2: ED25519 SHA256:5S"


@pytest.mark.parametrize("comm", ["sshd", "sshd-session", "sshd-auth"])
def test_an_entry_of_the_journal(comm: str) -> None:
    raw = journal_line(MESSAGE=ACCEPTED, _COMM=comm, _UID="0", SYSLOG_IDENTIFIER=comm)
    entry = entries.journal_entry(raw, frozenset())
    assert entry is not None
    assert entry.found is not None
    assert (entry.found.kind, entry.at, entry.cursor) == (
        "auth.accepted",
        1_700_000_000.5,
        "s=ab;i=1;b=c",
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"_COMM": "logger", "_UID": "0", "SYSLOG_IDENTIFIER": "sshd"},
        {"_COMM": "sshd", "_UID": "1000", "SYSLOG_IDENTIFIER": "sshd"},
        {"SYSLOG_IDENTIFIER": "sshd"},
    ],
)
def test_nobody_can_call_himself_sshd(fields: dict[str, str]) -> None:
    entry = entries.journal_entry(journal_line(MESSAGE=ACCEPTED, **fields), frozenset())
    assert entry is not None
    assert entry.found is None


SUDO = "alice : TTY=pts/0 ; PWD=/root ; USER=root ; COMMAND=/usr/bin/rm -rf /models"
NAMES = frozenset({*entries.IDENTIFIERS, "gw"})


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        (SUDO, {"_COMM": "sudo", "_UID": "1001", "_EXE": "/tmp/sudo"}),
        (SUDO, {"_COMM": "sudo", "_UID": "1001", "_EXE": "/usr/bin/python3.11"}),
        (SUDO, {"_COMM": "sudo", "_UID": "1001"}),
        (SUDO, {"_COMM": "sudo", "_UID": "0", "_EXE": "/usr/bin/python3.11"}),
        ("approved", {"_COMM": "logger", "_UID": "1001", "SYSLOG_IDENTIFIER": "watchfloor-guard"}),
        ("approved", {"SYSLOG_IDENTIFIER": "watchfloor-guard"}),
        ("new user: x", {"_COMM": "useradd", "_UID": "7", "SYSLOG_IDENTIFIER": "useradd"}),
        ("new user: x", {"_COMM": "x", "_UID": "7", "SYSLOG_IDENTIFIER": "useradd"}),
        (
            "new user: x",
            {"_UID": "7", "SYSLOG_IDENTIFIER": "useradd", "_EXE": "/usr/sbin/useradd"},
        ),
        ("FAILED SU", {"_COMM": "su", "_UID": "7", "_EXE": "/home/x/su"}),
        (
            "alert",
            {
                "_UID": "7",
                "SYSLOG_IDENTIFIER": "watchfloor-sensor",
                "_SYSTEMD_UNIT": "user@7.service",
            },
        ),
    ],
    ids=str,
)
def test_a_user_cannot_speak_as_a_program_of_the_system(
    message: str, fields: dict[str, str]
) -> None:
    entry = entries.journal_entry(journal_line(MESSAGE=message, **fields), NAMES)
    assert entry is not None
    assert entry.found is None


@pytest.mark.parametrize(
    ("message", "fields", "kind", "uid"),
    [
        # A program with the setuid bit is in the journal under the user id of its caller.
        (SUDO, {"_COMM": "sudo", "_UID": "1001", "_EXE": "/usr/bin/sudo"}, "auth.sudo", 1001),
        (SUDO, {"_COMM": "sudo", "_UID": "1001", "_EXE": "/usr/bin/sudo.ws"}, "auth.sudo", 1001),
        (SUDO, {"_COMM": "sudo", "_UID": "0"}, "auth.sudo", 0),
        ("FAILED SU", {"_COMM": "su", "_UID": "65534", "_EXE": "/usr/bin/su"}, "log.line", 65_534),
        ("new user", {"SYSLOG_IDENTIFIER": "useradd", "_UID": "0"}, "log.line", 0),
        (
            "alert",
            {
                "_UID": "991",
                "SYSLOG_IDENTIFIER": "watchfloor-sensor",
                "_SYSTEMD_UNIT": "watchfloor-sensor@0.service",
            },
            "log.line",
            991,
        ),
        (
            "up",
            {
                "_UID": "143",
                "_COMM": "nvidia-persistenced"[:15],
                "SYSLOG_IDENTIFIER": "nvidia-persistenced",
                "_SYSTEMD_UNIT": "nvidia-persistenced.service",
            },
            "log.line",
            143,
        ),
        ("x", {"SYSLOG_IDENTIFIER": "gw", "_UID": "1001"}, "log.line", 1001),
    ],
    ids=str,
)
def test_who_may_speak_is_told_with_the_user_id(
    message: str, fields: dict[str, str], kind: str, uid: int
) -> None:
    entry = entries.journal_entry(journal_line(MESSAGE=message, **fields), NAMES)
    assert entry is not None
    assert entry.found is not None
    assert (entry.found.kind, entry.found.facts["uid"]) == (kind, uid)


def test_a_name_inside_a_message_of_the_kernel_is_no_xid() -> None:
    found = messages.kernel(
        "oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg=/user.slice/user@1001.service/"
        "NVRM: Xid (PCI:0000:01:00): 79, pid=1, GPU has fallen off the bus,task=x"
    )
    assert found is not None
    assert found.kind == "log.line"
    line = b"Nov 23 20:20:36 gpu01 kernel: NVRM: Xid (PCI:0000:01:00): 79, pid=1, x"
    assert entries.syslog_line(line, NAMES) is None  # logger -t kernel


def test_a_message_of_bytes_and_a_declared_identifier() -> None:
    raw = journal_line(MESSAGE=list(b"token=abcdefgh \xff"), SYSLOG_IDENTIFIER="gw", PRIORITY="3")
    entry = entries.journal_entry(raw, frozenset({"gw"}))
    assert entry is not None
    assert entry.found is not None
    assert entry.found.kind == "log.line"
    assert entry.found.facts == {
        "identifier": "gw",
        "unit": "",
        "priority": 3,
        "message": "token=[redacted] \ufffd",
        "uid": None,
    }


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["MESSAGE", "__CURSOR", "_COMM", "_UID", "PRIORITY", "_TRANSPORT"]),
        inner, max_size=5,
    ),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_line_of_the_journal_is_read_calmly(raw: bytes) -> None:
    entries.journal_entry(raw, frozenset({"x"}))
    entries.syslog_line(raw, frozenset({"x"}))


@pytest.mark.parametrize(
    "line",
    [
        f"Nov 23 20:20:36 gpu01 sshd[812]: {ACCEPTED}",
        f"2026-11-23T20:20:36.123456+00:00 gpu01 sshd-session[812]: {ACCEPTED}",
        f"Nov  3 20:20:36 gpu01 sshd[812]: {ACCEPTED}",
    ],
)
def test_a_line_of_auth_log(line: str) -> None:
    found = entries.syslog_line(line.encode(), frozenset())
    assert found is not None
    assert found.kind == "auth.accepted"
