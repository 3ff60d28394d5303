"""What is handed in for an enrolment: keys, names, sources, and what attackers make of them."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.enroll.check import enrolment, name, public_keys, source
from console.enroll.removal import remove
from console.enroll.script import install
from console.errors import UsageError
from tests.support.sshd import keygen, make_key, need_openssh

BODY = b64encode(b"\0\0\0\x0bssh-ed25519" + b"\0\0\0\x20" + b"k" * 32).decode()
LINE = f"ssh-ed25519 {BODY}"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key.pub"
    file.write_text(LINE + " operator@console\n")
    return file


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_keys_of_ssh_keygen_pass_without_their_comment(tmp_path: Path, kind: str) -> None:
    need_openssh()
    pair = make_key(tmp_path / "key", kind=kind)
    keygen("-c", "-C", "a $(reboot) \"quoted\" 'comment'; id", "-f", str(pair.path))
    found = public_keys(Path(f"{pair.path}.pub"))
    assert found == [" ".join(pair.public.split()[:2])]


@pytest.mark.parametrize(
    "comment",
    ["$(touch /tmp/x)", "`id`", '"', "'", "\\", "; id #", "\t", 'a,command="sh"', "é\u202e"],
)
def test_a_comment_never_gets_into_the_script(tmp_path: Path, comment: str) -> None:
    file = tmp_path / "key.pub"
    file.write_text(f"{LINE} {comment}\n")
    plain = tmp_path / "plain.pub"
    plain.write_text(LINE + "\n")
    script = install(enrolment("gpu01", 1, [file], []), None)
    assert script == install(enrolment("gpu01", 1, [plain], []), None)


@pytest.mark.parametrize(
    "line",
    [
        f'command="sh" {LINE}',
        f"restrict {LINE}",
        f"ssh-rsa {BODY}",  # not the type within
        "ssh-ed25519 AAAA",
        f"ssh-ed25519 {BODY[:-4]}%%%%",
        f"ssh-ed25519\n{BODY}",
        f"{LINE}\nWATCHFLOOR_END\nid",
        "ssh-ed25519-cert-v01@openssh.com " + BODY,
        "$(id)",
    ],
)
def test_a_line_that_is_no_plain_public_key_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "key.pub"
    file.write_text(line + "\n")
    with pytest.raises(UsageError, match="not an OpenSSH public key"):
        public_keys(file)


def test_a_private_key_an_empty_file_and_a_missing_one_are_named(tmp_path: Path) -> None:
    private = tmp_path / "key"
    private.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n")
    with pytest.raises(UsageError, match="private key") as error:
        public_keys(private)
    assert "secret" not in str(error.value) + error.value.hint
    empty = tmp_path / "empty"
    empty.write_text("# only a comment\n\n")
    with pytest.raises(UsageError, match="no public key"):
        public_keys(empty)
    with pytest.raises(UsageError, match="cannot be read"):
        public_keys(tmp_path / "missing")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not text"):
        public_keys(binary)
    with pytest.raises(UsageError, match="public key is missing"):
        enrolment("gpu01", 2, [], [])


@pytest.mark.parametrize(
    "host", ["", "-x", "a b", "a'b", 'a"b', "a\nid", "$(id)", "`id`", "a;id", "a/b", "ä", "a" * 300]
)
def test_a_host_that_is_no_name_is_refused(key: Path, host: str) -> None:
    with pytest.raises(UsageError, match="not a host name"):
        enrolment(host, 2, [key], [])
    with pytest.raises(UsageError, match="not a host name"):
        name(host)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("10.0.0.5", "10.0.0.5"),
        ("2001:DB8::5", "2001:db8::5"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("*.example.org", "*.example.org"),
        ("10.0.?.5", "10.0.?.5"),
    ],
)
def test_sources_are_addresses_networks_or_patterns(text: str, kept: str) -> None:
    assert source(text) == kept


@pytest.mark.parametrize(
    "text", ["", "!10.0.0.5", "10.0.0.5/8", 'a"', "a,b", "a b", "a\n", "$(id)", "10.0.0.0/99", "-a"]
)
def test_what_could_mean_more_is_no_source(text: str) -> None:
    with pytest.raises(UsageError, match="log in from"):
        source(text)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.x", "10.0.0.256", "10.0.0", "10.x.y.z", "10.0.0.5a", "10.0.0.05", "300.*.*.*", "5"],
)
def test_what_only_looks_like_an_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="looks like an IP address and is none") as error:
        source(text)
    assert "10.0.0.0/24" in error.value.hint


@pytest.mark.parametrize(
    "text", ["1.pool.ntp.org", "10-0-0-5.example.org", "gpu1.10g.example.org", "10.*", "10.0.0.*"]
)
def test_names_and_patterns_with_numbers_pass(text: str) -> None:
    assert source(text) == text


@given(st.text(max_size=300))
def test_no_text_breaks_out_of_the_script(text: str) -> None:
    quotes = set("\"'`$\\;&|<>() \t\r\n,#")
    try:
        host = name(text)
    except UsageError:
        pass
    else:
        assert not set(host) & quotes
        assert host in remove(host).splitlines()[1]
    try:
        pattern = source(text)
    except UsageError:
        return
    assert not set(pattern) & quotes
    assert pattern.isascii()


@given(st.binary(max_size=400))
def test_any_bytes_are_keys_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.pub"
    file.write_bytes(data)
    try:
        found = public_keys(file)
    except UsageError:
        return
    assert all(set(line) <= set(KEY_LETTERS) for line in found)


KEY_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=@.- "


@pytest.mark.parametrize("text", ["fe80::1%eth0", 'fe80::1%x"\nWATCHFLOOR_END\ntouch /x', "::%a"])
def test_no_zone_gets_into_a_script(text: str) -> None:
    with pytest.raises(UsageError, match="has a zone"):
        source(text)
