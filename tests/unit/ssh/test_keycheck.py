"""What is said about key files before anybody connects, with real keys and certificates."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from console.model.host import Host
from console.ssh.keycheck import findings
from tests.support.sshd import KeyPair, make_key, need_openssh
from tests.support.watchfloor import watchfloor


@pytest.fixture
def pair(tmp_path: Path) -> KeyPair:
    need_openssh()
    return make_key(tmp_path / "user")


def hosts(count: int = 1, **fields: object) -> list[Host]:
    return [Host(name=f"gpu{n}", address="a", **fields) for n in range(1, count + 1)]  # type: ignore[arg-type]


def test_good_files_are_nothing_to_talk_about(pair: KeyPair, tmp_path: Path) -> None:
    locked = make_key(tmp_path / "locked", passphrase="never asked for")
    make_key(tmp_path / "ca").sign(pair, principals="wfmon")
    assert pair.certificate.exists()
    assert findings(hosts(key=str(pair.path), certificate=str(pair.certificate))) == []
    assert findings(hosts(key=str(pair.path))) == []
    assert findings(hosts(key=str(locked.path))) == []
    assert findings(hosts(key=f"{pair.path}.pub", agent=True)) == []
    assert findings(hosts(agent=True)) == []


def test_a_public_key_that_no_agent_holds_is_no_key(pair: KeyPair) -> None:
    (said,) = findings(hosts(147, key=f"{pair.path}.pub"))
    assert said.startswith(f"key {pair.path}.pub: is a public key, which cannot log in by itself. ")
    assert f"Set `key` to the private key {pair.path}, or" in said
    assert said.endswith("(gpu1 and 146 more hosts with the same)")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage\n",
        b"\xff\xfe\x00",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n",
        b"ssh-ed25519 c2VjcmV0\n",
    ],
)
def test_what_is_no_key_is_said_without_its_content(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    file.chmod(0o600)
    (said,) = findings(hosts(key=str(file)))
    assert said.startswith(f"key {file}: is n")
    assert "private key" in said
    assert "c2VjcmV0" not in said


def test_a_certificate_that_cannot_be_used_is_said_once_with_the_reason(
    pair: KeyPair, tmp_path: Path
) -> None:
    missing = tmp_path / "missing-cert.pub"
    (said,) = findings(hosts(147, key=str(pair.path), certificate=str(missing)))
    assert said.startswith(
        f"{missing}: the certificate cannot be read: No such file or directory. Put the signed file"
    )
    assert said.endswith("(gpu1 and 146 more hosts with the same)")
    (said,) = findings(hosts(key=str(pair.path), certificate=f"{pair.path}.pub"))
    assert "it is no OpenSSH certificate" in said
    other = make_key(tmp_path / "other")
    make_key(tmp_path / "ca").sign(other, principals="wfmon")
    (said,) = findings(hosts(key=str(pair.path), certificate=str(other.certificate)))
    assert said.startswith(f"{other.certificate}: the certificate is for another key than ")


def test_validate_warns_of_them_and_asks_nothing(pair: KeyPair, tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    locked = make_key(tmp_path / "locked", passphrase="never asked for")
    text = f"[[hosts]]\nname='a'\naddress='a'\nhost_key='{pair.public.strip()}'\nkey="
    file.write_text(f"{text}'{locked.path}'\n")
    done = watchfloor("config", "validate", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"valid: 1 host ({file})\n"
    file.write_text(f"{text}'{os.fspath(pair.path)}.pub'\n")
    done = watchfloor("config", "validate", str(file))
    assert (done.returncode, done.stdout) == (0, f"valid: 1 host ({file})\n")
    assert done.stderr.startswith(f"watchfloor: warning: key {pair.path}.pub: is a public key")
