"""Who may get in on made hosts: accounts, keys, sudo rules, and what a user may plant there."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.hostside.probe.inventory import (
    accounts,
    digests,
)
from console.hostside.probe.place import Place, listing, read_file
from tests.support.inventory import collect, tree

ALICE = os.geteuid() or 1000  # the files of a made host are whose who runs the tests, or root's
PASSWD = f"root:x:0:0::/root:/bin/sh\nalice:x:{ALICE}:{ALICE}::/home/alice:/bin/sh\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA alice"


@pytest.fixture(autouse=True)
def _nothing_waits() -> Iterator[None]:
    """A step that blocks in the kernel is ended by a signal, and that is a failure."""

    def late(number: int, frame: object) -> None:
        raise AssertionError("a step of the inventory waited for something")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    os.mkfifo(tmp_path / "pipe")
    os.symlink("loop", tmp_path / "loop")
    os.symlink("/dev/zero", tmp_path / "endless")
    os.symlink("file", tmp_path / "link")
    assert read_file(str(tmp_path / "file"), 10) == b"x" * 10
    assert read_file(str(tmp_path / "link")) == b"x" * 100
    for name in ("pipe", "loop", "endless", "missing", "."):
        with pytest.raises(OSError):  # noqa: PT011  # which one is the kernel's business
            read_file(str(tmp_path / name))
    assert listing(str(tmp_path), 3) == sorted(listing(str(tmp_path), 3))
    assert len(listing(str(tmp_path), 3)) == 3


def keys(root: Path, name: str = "alice") -> tuple[Any, str]:
    found = collect(Place(proc=str(root / "proc"), root=str(root)), accounts.steps)
    return found.tables["accounts"][name], found.denied.get("accounts.keys", "")


def test_keys_are_counted_and_a_change_is_seen(tmp_path: Path) -> None:
    file = "/home/alice/.ssh/authorized_keys"
    tree(tmp_path, {"/etc/passwd": PASSWD, file: f"# comment\n\n{KEY}\n"})
    first, why = keys(tmp_path)
    assert (first.keys, why) == (1, "")
    tree(tmp_path, {file: f'command="x" {KEY}\n'})
    second, _ = keys(tmp_path)
    assert second.keys == 1
    assert second.keys_digest != first.keys_digest
    (tmp_path / file[1:]).unlink()
    third, why = keys(tmp_path)
    assert (third.keys, third.keys_digest, why) == (0, "", "")


def test_keys_are_looked_for_where_sshd_looks(tmp_path: Path) -> None:
    tree(
        tmp_path,
        {
            "/etc/passwd": PASSWD,
            "/etc/ssh/sshd_config": "Include x\nMatch User a\nAuthorizedKeysFile /m/%U\n",
            "/etc/ssh/sshd_config.d/10.conf": "AuthorizedKeysFile /keys/%u %h/own %%\n",
            "/keys/alice": KEY,
            "/home/alice/own": KEY + "2",
            f"/m/{ALICE}": KEY + "3",
            "/home/alice/.ssh/authorized_keys": "not read\n",
        },
    )
    assert keys(tmp_path)[0].keys == 3


def plant(root: Path, how: str) -> int:
    """Put something else where Alice's keys are; a descriptor that must be kept, or -1."""
    path = root / "home/alice/.ssh/authorized_keys"
    path.parent.mkdir(parents=True, exist_ok=True)
    if how == "pipe":
        os.mkfifo(path)
    elif how == "folder":
        path.mkdir()
    elif how == "loop":
        os.symlink(path, path)
    elif how == "device":
        os.symlink("/dev/zero", path)
    else:
        path.write_text(KEY)
        handle = os.open(path, os.O_RDWR)
        # An open by anybody else now waits until this process lets go, at most 45 s.
        fcntl.fcntl(handle, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        return handle
    return -1


@pytest.mark.parametrize("how", ["pipe", "folder", "loop", "device", "lease"])
def test_what_is_planted_for_keys_holds_nothing_up_and_is_not_no_keys(
    tmp_path: Path, how: str
) -> None:
    tree(tmp_path, {"/etc/passwd": PASSWD})
    if how == "lease":
        signal.signal(signal.SIGIO, signal.SIG_IGN)
    handle = plant(tmp_path, how)
    try:
        row, why = keys(tmp_path)
        assert (row.keys, row.keys_digest) == (None, None)
        assert "/home/alice/.ssh/authorized_keys" in why
        found = collect(Place(proc=str(tmp_path / "proc"), root=str(tmp_path)), digests.steps)
        assert found.sections["digests"].authorized_keys == ""
        assert "digests.authorized_keys" in found.denied
    finally:
        if handle >= 0:
            os.close(handle)
            signal.signal(signal.SIGIO, signal.SIG_DFL)


SECRETS = {  # where the file is: its text, owner, mode, and the mode of its folder
    "/etc/shadow": ("root:$y$secret:1::::::\n", 0, 0o640, 0o755),
    "/srv/closed": (KEY, 0, 0o600, 0o755),
    "/srv/shadowed": (KEY, 0, 0o640, 0o755),
    "/vault/open": (KEY, 0, 0o644, 0o700),
    "/home/bob/keys": (KEY, 2000, 0o644, 0o755),
    "/etc/words": ("key=AAAAAAAAAAAAAAAAAAAA\nroot:x:0\n", 0, 0o644, 0o755),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files to others")
@pytest.mark.parametrize("file", SECRETS)
def test_a_link_to_what_is_no_key_file_of_the_user_is_no_key(tmp_path: Path, file: str) -> None:
    """sshd would read it as Alice, who may not; root must not read it for her."""
    text, owner, mode, of_folder = SECRETS[file]
    tree(tmp_path, {"/etc/passwd": PASSWD, "/etc/group": "shadow:x:42:bob\n", file: text})
    secret = tmp_path / file[1:]
    os.chown(secret, owner, 42)
    secret.chmod(mode)
    secret.parent.chmod(of_folder)
    ssh = tmp_path / "home/alice/.ssh"
    ssh.mkdir(parents=True)
    os.symlink(secret, ssh / "authorized_keys")
    row, why = keys(tmp_path)
    assert (row.keys, row.keys_digest, why) == (0, "", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files to others")
@pytest.mark.parametrize(
    ("file", "group", "config"),
    [
        ("/srv/closed", "staff:x:42:alice\n", ""),
        ("/home/bob/keys", "", 'Port 22\n  strictmodes="no"\n'),
        ("/home/bob/keys", "", "StrictModes no\n"),
    ],
)
def test_a_link_to_keys_that_sshd_takes_is_followed(
    tmp_path: Path, file: str, group: str, config: str
) -> None:
    made = {"/etc/passwd": PASSWD, "/etc/group": group, "/etc/ssh/sshd_config": config, file: KEY}
    tree(tmp_path, made)
    keyfile = tmp_path / file[1:]
    os.chown(keyfile, 0 if group else 2000, 42)
    keyfile.chmod(0o640 if group else 0o644)
    ssh = tmp_path / "home/alice/.ssh"
    ssh.mkdir(parents=True)
    os.symlink(keyfile, ssh / "authorized_keys")
    assert keys(tmp_path)[0].keys == 1


def test_two_accounts_with_one_name_are_both_shown(tmp_path: Path) -> None:
    place = tree(tmp_path, {"/etc/passwd": PASSWD + "alice:x:0:0::/x:/bin/sh\n"})
    rows = collect(place, accounts.steps).tables["accounts"].values()
    assert [(one.uid) for one in rows if one.key.startswith("alice")] == [1000, 0]


def digest_of(place: Place) -> tuple[str, str]:
    found = collect(place, digests.steps)
    return found.sections["digests"].sudoers, found.denied.get("digests.sudoers", "")


def test_sudo_rules_are_followed_through_includes_and_links(tmp_path: Path) -> None:
    place = tree(
        tmp_path,
        {
            "/etc/passwd": PASSWD,
            "/proc/sys/kernel/hostname": "gpu7.example.test\n",
            "/etc/sudoers": "root ALL=(ALL) ALL\n@include /opt/rules.%h\n@includedir more\n",
            "/opt/rules.gpu7": "a ALL=(ALL) ALL\n@include /opt/rules.gpu7\n",
            "/etc/more/x": "b ALL=(ALL) ALL\n",
            "/opt/elsewhere": "c ALL=(ALL) ALL\n",
        },
    )
    (tmp_path / "etc/sudoers.d").mkdir()
    os.symlink(tmp_path / "opt/elsewhere", tmp_path / "etc/sudoers.d/link")
    seen = {digest_of(place)[0]}
    for name in ("opt/rules.gpu7", "etc/more/x", "opt/elsewhere"):
        (tmp_path / name).write_text("eve ALL=(ALL) NOPASSWD: ALL\n")
        seen.add(digest_of(place)[0])
    (tmp_path / "etc/sudoers").chmod(0o666)
    seen.add(digest_of(place)[0])
    assert len(seen) == 5
    assert all(len(digest) == 64 for digest in seen)


def test_a_folder_with_too_many_files_is_not_half_a_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "MAX_FILES", 3)
    place = tree(tmp_path, {f"/etc/sudoers.d/{n}": "x" for n in range(9)} | {"/etc/passwd": ""})
    digest, why = digest_of(place)
    assert digest == ""
    assert "more than 3 files" in why
