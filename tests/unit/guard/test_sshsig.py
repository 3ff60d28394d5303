"""Signatures as text: one form, and nothing but a refusal for all the others."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.demo.fido import FidoKey, FileKey, string
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.trust import ed25519, keygen, sshsig
from console.hostside.guard.world import World
from tests.support.guardkit import WORLD, refused

NAMESPACE = "request-v1@watchfloor"
MESSAGE = b"what is signed"
FILE, FIDO = FileKey(b"\x01" * 32), FidoKey(b"\x02" * 32)
DUMMY = Path("/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so")
NO_DUMMY = "needs the dummy FIDO keys of Debian's openssh-tests (scripts/lab-packages installs it)"


def verified(armored: str, message: bytes = MESSAGE, namespace: str = NAMESPACE) -> list[object]:
    """What both verifiers say."""
    parsed = sshsig.parse(armored)
    ours = ed25519.verify(parsed.public, parsed.signature, sshsig.signed_bytes(parsed, message))
    line = sshsig.line(parsed.blob)
    return [ours, keygen.verify(message, armored, line, namespace, WORLD)]


def ssh_keygen(*argv: str, cwd: Path, stdin: bytes = b"", provider: str = "") -> bytes:
    done = subprocess.run(
        ["ssh-keygen", *argv], cwd=cwd, input=stdin, capture_output=True, check=False,
        env={**os.environ, "SSH_SK_PROVIDER": provider}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("key", [FILE, FIDO], ids=["file", "fido"])
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_both_verifiers_accept_what_the_demo_signs(key: FileKey, hash_name: str) -> None:
    armored = key.sign(MESSAGE, NAMESPACE, hash_name=hash_name)
    assert verified(armored) == [True, True]
    assert verified(armored, MESSAGE + b".") == [False, False]
    assert sshsig.parse(armored).hash_name == hash_name


def test_a_real_file_key_of_openssh(tmp_path: Path) -> None:
    ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", "key", cwd=tmp_path)
    armored = ssh_keygen(
        "-Y", "sign", "-f", "key", "-n", NAMESPACE, cwd=tmp_path, stdin=MESSAGE
    ).decode()
    assert verified(armored) == [True, True]
    public = (tmp_path / "key.pub").read_text().split()
    parsed = sshsig.parse(armored)
    assert sshsig.key_line(" ".join(public[:2])) == parsed.blob
    assert sshsig.line(parsed.blob) == " ".join(public[:2])
    assert sshsig.fingerprint(parsed.blob).encode() in ssh_keygen("-lf", "key.pub", cwd=tmp_path)
    assert sshsig.armor(parsed.outer) == armored


@pytest.mark.skipif(not DUMMY.exists(), reason=NO_DUMMY)
@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_a_dummy_fido_key_of_openssh(kind: str, tmp_path: Path) -> None:
    dummy = str(DUMMY)
    ssh_keygen("-q", "-t", kind, "-w", dummy, "-N", "", "-f", "key", cwd=tmp_path, provider=dummy)
    armored = ssh_keygen(
        "-Y", "sign", "-f", "key", "-n", NAMESPACE, cwd=tmp_path, stdin=MESSAGE, provider=dummy
    ).decode()
    parsed = sshsig.parse(armored)
    assert parsed.application == "ssh:"
    assert parsed.flags & sshsig.PRESENT
    line = sshsig.line(parsed.blob)
    assert keygen.verify(MESSAGE, armored, line, NAMESPACE, WORLD) is True
    assert keygen.verify(MESSAGE + b".", armored, line, NAMESPACE, WORLD) is False
    if kind == "ed25519-sk":
        assert verified(armored) == [True, True]


def test_flags_and_counter_are_signed() -> None:
    """Setting the bit of user verification afterwards breaks the signature. Threats: 20."""
    armored = FIDO.sign(MESSAGE, NAMESPACE, flags=0x01, counter=7)
    parsed = sshsig.parse(armored)
    assert (parsed.flags, parsed.counter) == (1, 7)
    raw = bytearray(parsed.outer)
    assert raw[-5] == 0x01
    raw[-5] = 0x05
    assert sshsig.parse(sshsig.armor(bytes(raw))).flags == 5
    assert verified(sshsig.armor(bytes(raw))) == [False, False]


GOOD = FIDO.sign(MESSAGE, NAMESPACE)
LINES = GOOD.splitlines(keepends=True)
BODY = "".join(LINES[1:-1])
PADDED = FIDO.sign(MESSAGE, NAMESPACE + "x")
assert "=" in PADDED

ODD = {
    "junk behind the end": GOOD + "x",
    "a line behind the end": GOOD + "\n",
    "two signatures": GOOD + GOOD,
    "another one first": FILE.sign(MESSAGE, NAMESPACE) + GOOD,
    "CRLF": GOOD.replace("\n", "\r\n"),
    "junk before": "x" + GOOD,
    "a blank line before": "\n" + GOOD,
    "byte order mark": "\ufeff" + GOOD,
    "no header": "".join(LINES[1:]),
    "no footer": "".join(LINES[:-1]),
    "header in the footer": LINES[0] + BODY + LINES[0],
    "long lines": LINES[0] + BODY.replace("\n", "") + "\n" + LINES[-1],
    "short lines": LINES[0] + "\n".join(BODY.replace("\n", "")) + "\n" + LINES[-1],
    "blank line": LINES[0] + "\n" + BODY + LINES[-1],
    "space in base64": GOOD.replace("A", "A ", 1),
    "tab": GOOD.replace("\n", "\t\n"),
    "no padding": PADDED.replace("=", ""),
    "url base64": LINES[0] + BODY.replace("/", "_").replace("+", "-").replace("A", "-") + LINES[-1],
    "PGP": GOOD.replace("SSH SIGNATURE", "PGP SIGNATURE"),
    "NUL": GOOD[:60] + "\x00" + GOOD[61:],
    "not ASCII": GOOD[:60] + "é" + GOOD[61:],
    "nothing": "",
    "a header only": LINES[0],
    "both ends only": LINES[0] + LINES[-1],
}  # fmt: skip


@pytest.mark.parametrize("armored", ODD.values(), ids=ODD.keys())
def test_there_is_one_form_of_a_signature(armored: str) -> None:
    """What OpenSSH passes over is refused here. Threats: 25."""
    assert refused(sshsig.parse, armored).rule == "signature"


def test_the_last_line_end_may_be_missing() -> None:
    assert sshsig.parse(GOOD.rstrip("\n")) == sshsig.parse(GOOD)


def test_the_spare_bits_of_base64_are_zero() -> None:
    """Another text for the same bytes. Threats: 25."""
    text = PADDED
    at = text.index("=") - 1
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = text[:at] + alphabet[alphabet.index(text[at]) + 1] + text[at + 1 :]
    plain = [value.replace("\n", "").split("-----")[2] for value in (text, other)]
    assert base64.b64decode(plain[0]) == base64.b64decode(plain[1])
    sshsig.parse(text)
    refused(sshsig.parse, other)


def test_twenty_megabytes_are_no_signature() -> None:
    """OpenSSH spends 24 s on it. Threats: 26."""
    big = LINES[0] + ("A" * 70 + "\n") * 290_000 + LINES[-1]
    start = time.perf_counter()
    refused(sshsig.parse, big)
    assert time.perf_counter() - start < 0.01
    refused(sshsig.parse, LINES[0] + ("A" * 70 + "\n") * 60 + LINES[-1])


def outer(
    blob: bytes = FIDO.blob,
    version: int = 1,
    namespace: bytes = NAMESPACE.encode(),
    reserved: bytes = b"",
    hash_name: bytes = b"sha512",
    inner: bytes | None = None,
    magic: bytes = b"SSHSIG",
) -> str:
    if inner is None:
        inner = string(FIDO.kind.encode()) + string(b"\x01" * 64) + b"\x05" + b"\x00" * 4
    fields = [blob, namespace, reserved, hash_name, inner]
    return sshsig.armor(magic + version.to_bytes(4, "big") + b"".join(map(string, fields)))


POINT = b"\x04" + b"\x11" * 64
ECDSA = string(sshsig.SK_ECDSA.encode()) + string(b"nistp256") + string(POINT) + string(b"ssh:")


def ecdsa(*numbers: bytes) -> bytes:
    said = string(b"".join(map(string, numbers)))
    return string(sshsig.SK_ECDSA.encode()) + said + b"\x05" + b"\x00" * 4


def test_the_made_up_forms_are_otherwise_good() -> None:
    assert sshsig.parse(outer()).flags == 5
    found = sshsig.parse(outer(blob=ECDSA, inner=ecdsa(b"\x01", b"\x00\xff")))
    assert (found.public, found.flags, found.application) == (POINT, 5, "ssh:")


BROKEN = {
    "version": outer(version=2),
    "magic": outer(magic=b"SSHSIH"),
    "reserved": outer(reserved=b"\x00"),
    "a control in the namespace": outer(namespace=b"request-v1@watchfloor\x00"),
    "a space in the namespace": outer(namespace=b"a b"),
    "short point": outer(blob=string(FIDO.kind.encode()) + string(b"\x01" * 31) + string(b"ssh:")),
    "junk behind the key": outer(blob=FIDO.blob + b"\x00"),
    "no application": outer(blob=FileKey.blob.fget(FIDO)),  # type: ignore[attr-defined]
    "junk behind the flags": outer(
        inner=string(FIDO.kind.encode()) + string(b"\x01" * 64) + b"\x05" + b"\x00" * 5
    ),
    "no counter": outer(inner=string(FIDO.kind.encode()) + string(b"\x01" * 64) + b"\x05"),
    "a file key's signature": outer(inner=string(b"ssh-ed25519") + string(b"\x01" * 64)),
    "63 bytes": outer(inner=string(FIDO.kind.encode()) + string(b"\x01" * 63) + b"\x05" + bytes(4)),
    "other curve": outer(
        blob=ECDSA.replace(string(b"nistp256"), string(b"nistp384")), inner=ecdsa(b"\x01", b"\x01")
    ),
    "compressed point": outer(
        blob=ECDSA.replace(string(POINT), string(b"\x02" + b"\x11" * 32)), inner=ecdsa(b"1", b"1")
    ),
    "negative number": outer(blob=ECDSA, inner=ecdsa(b"\x80", b"\x01")),
    "long number": outer(blob=ECDSA, inner=ecdsa(b"\x00\x01", b"\x01")),
    "zero": outer(blob=ECDSA, inner=ecdsa(b"\x00", b"\x01")),
    "no number": outer(blob=ECDSA, inner=ecdsa(b"", b"\x01")),
    "three numbers": outer(blob=ECDSA, inner=ecdsa(b"\x01", b"\x01", b"\x01")),
    "a length beyond the end": sshsig.armor(b"SSHSIG\x00\x00\x00\x01\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("armored", BROKEN.values(), ids=BROKEN.keys())
def test_the_fields_are_exact(armored: str) -> None:
    """A reserved field that is not empty, lengths, trailing bytes. Threats: 25."""
    assert refused(sshsig.parse, armored).rule == "signature"


@pytest.mark.parametrize("name", [b"md5", b"sha1", b"SHA512", b"sha384", b"sha512 ", b""])
def test_only_two_hashes(name: bytes) -> None:
    """Threats: 27."""
    assert refused(sshsig.parse, outer(hash_name=name)).rule in ("hash", "signature")


@pytest.mark.parametrize(
    "kind",
    [
        "ssh-rsa", "rsa-sha2-256", "ssh-dss", "ecdsa-sha2-nistp256", "ssh-ed448",
        "ssh-ed25519-cert-v01@openssh.com", "sk-ssh-ed25519-cert-v01@openssh.com",
        "webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "webauthn-sk-ssh-ed25519@openssh.com",
    ],
)  # fmt: skip
def test_other_kinds_of_keys_are_refused(kind: str) -> None:
    """RSA, DSA, webauthn, certificates (-Y verify ignores options). Threats: 22, 27, 28."""
    blob = string(kind.encode()) + string(b"\x01" * 32) + string(b"ssh:")
    assert refused(sshsig.parse, outer(blob=blob)).rule == "key-type"
    line = f"{kind} {base64.b64encode(blob).decode()}"
    assert refused(sshsig.key_line, line).rule == "key-type"


def test_real_rsa_and_certificate_signatures_are_refused(tmp_path: Path) -> None:
    """Made by ssh-keygen itself. Threats: 27, 28."""
    ssh_keygen("-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", "rsa", cwd=tmp_path)
    ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", "ca", cwd=tmp_path)
    ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", "user", cwd=tmp_path)
    ssh_keygen(
        "-q", "-s", "ca", "-I", "alice", "-n", "alice", "-O", "source-address=192.0.2.1",
        "user.pub", cwd=tmp_path,
    )  # fmt: skip
    shutil.copy(tmp_path / "user", tmp_path / "user-cert")
    for key in ("rsa", "user-cert.pub"):
        armored = ssh_keygen(
            "-Y", "sign", "-f", key, "-n", NAMESPACE, cwd=tmp_path, stdin=MESSAGE
        ).decode()
        assert refused(sshsig.parse, armored).rule == "key-type", key


@pytest.mark.parametrize(
    "line",
    [
        f"{FILE.public_line} comment", f" {FILE.public_line}", f"{FILE.public_line}\n",
        f"restrict {FILE.public_line}", FILE.public_line.replace(" ", "  "),
        FILE.public_line.replace("ssh-ed25519", "sk-ssh-ed25519@openssh.com"),
        FILE.public_line[:-1], FILE.public_line + "=", "", "ssh-ed25519", "ssh-ed25519 é",
        "ssh-ed25519 " + "A" * 5000, f"*@ops {FILE.public_line}",
    ],
)  # fmt: skip
def test_a_key_is_kind_and_base64_and_nothing_else(line: str) -> None:
    """No options, no principals, no wildcard. Threats: 12, 13, 29."""
    refused(sshsig.key_line, line)


def test_openssh_is_asked_about_one_key_and_one_namespace() -> None:
    """The guard writes the file of one line itself, without names. Threats: 12, 13."""
    armored = FILE.sign(MESSAGE, NAMESPACE)
    assert keygen.verify(MESSAGE, armored, FILE.public_line, NAMESPACE, WORLD) is True
    assert keygen.verify(MESSAGE, armored, FIDO.public_line, NAMESPACE, WORLD) is False
    assert keygen.verify(MESSAGE, armored, FILE.public_line, "git", WORLD) is False


class Instead(World):
    """A host with another program in place of ssh-keygen."""

    def __init__(self, program: str) -> None:
        super().__init__(Place())
        self.program = program

    def run(self, argv, *args, **named):  # type: ignore[no-untyped-def]
        return super().run([self.program, *argv[1:]], *args, **named)


def test_without_openssh_or_with_an_old_one_there_is_no_second_opinion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    old.write_text(
        "#!/bin/sh\necho 'unknown option -- Y' >&2\necho 'usage: ssh-keygen [-q]' >&2\nexit 1\n"
    )
    old.chmod(0o755)
    armored = FILE.sign(MESSAGE, NAMESPACE)
    given = (MESSAGE, armored, FILE.public_line, NAMESPACE)
    assert keygen.verify(*given, Instead(str(old))) is None
    # One that fails in any other way has said no.
    assert keygen.verify(*given, Instead("/bin/false")) is False
    monkeypatch.setattr(keygen, "PROGRAM", str(tmp_path / "none"))
    assert keygen.verify(*given, WORLD) is None


def test_an_openssh_that_is_there_and_cannot_be_asked_refuses(tmp_path: Path) -> None:
    """A host that is out of memory or processes is not one without a second opinion."""
    killed = tmp_path / "killed"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    given = (MESSAGE, FILE.sign(MESSAGE, NAMESPACE), FILE.public_line, NAMESPACE)
    for program in (str(tmp_path / "cannot-be-run"), str(killed)):
        assert refused(keygen.verify, *given, Instead(program)).rule == "verifier"


def test_an_old_openssh_is_told_by_its_own_words(tmp_path: Path) -> None:
    """What a getopt says of an option that it does not know; the words that are looked for."""
    done = subprocess.run(
        ["ssh-keygen", "-7"], cwd=tmp_path, capture_output=True, check=False, timeout=10
    )
    assert done.returncode == 1
    assert b"option -- " in done.stderr[:80]


def test_no_file_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    keygen.verify(MESSAGE, GOOD, FIDO.public_line, NAMESPACE, WORLD)
    assert len(os.listdir("/proc/self/fd")) == before


@given(st.text(max_size=300) | st.text(max_size=200).map(lambda text: LINES[0] + text + LINES[-1]))
def test_any_text_is_a_signature_or_refused(text: str) -> None:
    with pytest.raises(Refused):
        sshsig.parse(text)


@given(st.binary(max_size=300).map(lambda data: b"SSHSIG\x00\x00\x00\x01" + data))
def test_any_bytes_are_a_signature_or_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        sshsig.parse(sshsig.armor(data))


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_any_changed_byte_is_refused_or_another_signature(at: int, byte: int) -> None:
    raw = bytearray(sshsig.parse(GOOD).outer)
    at %= len(raw)
    same = raw[at] == byte
    raw[at] = byte
    try:
        found = sshsig.parse(sshsig.armor(bytes(raw)))
    except Refused:
        assert not same
        return
    genuine = ed25519.verify(found.public, found.signature, sshsig.signed_bytes(found, MESSAGE))
    # A changed namespace is genuine for no message of ours either: it is part of what is signed.
    assert genuine is same


@given(st.binary(max_size=200))
def test_any_bytes_are_a_key_or_refused(blob: bytes) -> None:
    for call in (sshsig.key, sshsig.line):
        try:
            call(blob)
        except Refused:
            pass
    assert sshsig.fingerprint(blob) == "SHA256:" + base64.b64encode(
        hashlib.sha256(blob).digest()
    ).decode().rstrip("=")
