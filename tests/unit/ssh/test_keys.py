"""Key files and the key ring, with real keys and a real agent."""

import asyncio
import gc
import os
from pathlib import Path
from types import FrameType, FunctionType, ModuleType

import msgspec
import pytest

from console.errors import KeyFileError
from console.model.host import Host
from console.ssh.connect import fingerprint
from console.ssh.keys import TRIES, KeyRing, is_encrypted, read_key_file
from tests.support.sshd import Agent, KeyPair, make_key, need_openssh

SECRET = "correct horse battery"


@pytest.fixture
def plain(tmp_path: Path) -> KeyPair:
    need_openssh()
    return make_key(tmp_path / "plain")


@pytest.fixture
def locked(tmp_path: Path) -> KeyPair:
    need_openssh()
    return make_key(tmp_path / "locked", passphrase=SECRET)


def host(**fields: object) -> Host:
    return msgspec.convert({"name": "gpu01", "address": "10.0.0.1", **fields}, Host)


class Person:
    """Answers questions for passphrases, from a list."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, path: str) -> str | None:
        self.asked.append(path)
        await asyncio.sleep(0)  # let the others come and wait too
        return self.answers.pop(0)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_loose_private_key_is_refused(plain: KeyPair, mode: int) -> None:
    plain.path.chmod(mode)
    with pytest.raises(KeyFileError) as caught:
        read_key_file(str(plain.path))
    told = str(caught.value)
    assert str(plain.path) in told
    assert f"{mode:04o}" in told
    assert "chmod 600" in told


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_a_private_key_of_another_user_is_refused(plain: KeyPair) -> None:
    os.chown(plain.path, 65_534, 65_534)
    with pytest.raises(KeyFileError, match="another user"):
        read_key_file(str(plain.path))


def test_missing_big_and_odd_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        read_key_file(str(tmp_path / "none"))
    big = tmp_path / "big"
    big.write_bytes(b"x" * 100_000)
    with pytest.raises(KeyFileError, match="too big"):
        read_key_file(str(big))
    with pytest.raises(KeyFileError):
        read_key_file(str(tmp_path))
    with pytest.raises(KeyFileError, match="regular file"):
        read_key_file("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(KeyFileError, match="regular file"):
        read_key_file(str(tmp_path / "pipe"))


async def test_a_key_file_that_is_no_key_is_said_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_text(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0LXRleHQ=\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="not a private key") as caught:
        await KeyRing().pairs(host(key=str(path)))
    assert "c2VjcmV0" not in str(caught.value)


async def test_a_plain_key_is_read_once_and_again_when_it_changes(
    plain: KeyPair, tmp_path: Path
) -> None:
    ring = KeyRing()
    first = await ring.pairs(host(key=str(plain.path)))
    assert [fingerprint(pair) for pair in first] == [plain.fingerprint]
    again = await ring.pairs(host(key=str(plain.path)))
    assert again[0] is not first[0]  # signing changes a pair, so connections do not share one
    other = make_key(tmp_path / "other")
    os.replace(other.path, plain.path)
    changed = await ring.pairs(host(key=str(plain.path)))
    assert [fingerprint(pair) for pair in changed] == [other.fingerprint]


async def test_many_connections_share_one_question(locked: KeyPair) -> None:
    person = Person(SECRET)
    ring = KeyRing(person)
    assert is_encrypted(read_key_file(str(locked.path)))
    pairs = await asyncio.gather(*(ring.pairs(host(key=str(locked.path))) for _ in range(50)))
    assert {fingerprint(item[0]) for item in pairs} == {locked.fingerprint}
    assert person.asked == [str(locked.path)]


def reachable(root: object) -> set[str]:
    """Every text that can be reached from ``root``, but for modules, classes and frames."""
    seen: set[int] = set()
    texts: set[str] = set()
    todo: list[object] = [root]
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, ModuleType | type | FrameType | FunctionType):
            continue
        seen.add(id(item))
        if isinstance(item, str):
            texts.add(item)
        elif isinstance(item, bytes):
            texts.add(item.decode("latin-1"))
        elif isinstance(item, dict):
            todo += item  # keys that are text are not among the referents
        todo += gc.get_referents(item)
    return texts


async def test_a_passphrase_is_not_kept(locked: KeyPair, tmp_path: Path) -> None:
    answers = tmp_path / "answers"
    answers.write_text("wrong-one\n" + SECRET)

    async def ask(path: str) -> str | None:
        said, _, rest = answers.read_text().partition("\n")
        answers.write_text(rest)
        return said

    ring = KeyRing(ask)
    pairs = await ring.pairs(host(key=str(locked.path)))
    texts = reachable([ring, pairs])
    assert str(locked.path) in texts, "the search finds what is there"
    assert not [text for text in texts if SECRET in text or "wrong-one" in text]
    answers.unlink()
    files = [Path(folder, name) for folder, _, names in os.walk(tmp_path) for name in names]
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]


async def test_a_wrong_passphrase_may_be_corrected(locked: KeyPair) -> None:
    person = Person("wrong", SECRET)
    pairs = await KeyRing(person).pairs(host(key=str(locked.path)))
    assert fingerprint(pairs[0]) == locked.fingerprint
    assert person.asked == [
        str(locked.path),
        f"{locked.path} (that was wrong; try 2 of {TRIES})",
    ]


async def test_three_wrong_passphrases_end_the_questions(locked: KeyPair) -> None:
    person = Person("one-bad", "two-bad", "three-bad", SECRET)
    ring = KeyRing(person)
    for _ in range(2):
        with pytest.raises(KeyFileError, match=f"wrong {TRIES} times") as caught:
            await ring.pairs(host(key=str(locked.path)))
        assert "bad" not in str(caught.value)
    assert len(person.asked) == TRIES
    ring.forget()
    assert await ring.pairs(host(key=str(locked.path)))


async def test_who_gives_up_is_not_asked_by_every_host(locked: KeyPair) -> None:
    person = Person(None)
    ring = KeyRing(person)
    results = await asyncio.gather(
        *(ring.pairs(host(key=str(locked.path))) for _ in range(20)), return_exceptions=True
    )
    assert all(isinstance(result, KeyFileError) for result in results)
    with pytest.raises(KeyFileError, match="no passphrase was given"):
        await ring.pairs(host(key=str(locked.path)))
    assert len(person.asked) == 1


async def test_nobody_to_ask_is_said(locked: KeyPair) -> None:
    with pytest.raises(KeyFileError, match="nobody can be asked"):
        await KeyRing().pairs(host(key=str(locked.path)))


async def test_one_cancelled_connection_leaves_the_question_to_the_others(locked: KeyPair) -> None:
    answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    asked = asyncio.Event()

    async def person(path: str) -> str | None:
        asked.set()
        return await answer

    ring = KeyRing(person)
    first = asyncio.create_task(ring.pairs(host(key=str(locked.path))))
    second = asyncio.create_task(ring.pairs(host(key=str(locked.path))))
    await asked.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    answer.set_result(SECRET)
    assert fingerprint((await second)[0]) == locked.fingerprint
    await ring.close()


async def test_closing_the_ring_ends_an_open_question(locked: KeyPair) -> None:
    asked = asyncio.Event()

    async def person(path: str) -> str | None:
        asked.set()
        await asyncio.Event().wait()
        return None

    ring = KeyRing(person)
    waiting = asyncio.create_task(ring.pairs(host(key=str(locked.path))))
    await asked.wait()
    await ring.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_no_key_at_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(KeyFileError, match="`key` is empty"):
        await KeyRing().pairs(host())
    with pytest.raises(KeyFileError, match="the agent holds none"):
        await KeyRing().pairs(host(agent=True))


async def test_agent_keys_come_after_the_configured_one(
    plain: KeyPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = make_key(tmp_path / "held")
    with Agent(tmp_path / "agent") as agent:
        agent.add(held)
        agent.add(plain)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.path))
        ring = KeyRing()
        both = await ring.pairs(host(key=str(plain.path), agent=True))
        only = await ring.pairs(host(agent=True))
        named = await ring.pairs(host(key=f"{held.path}.pub", agent=True))
        none = await ring.pairs(host(key=str(plain.path)))
        await ring.close()
    assert [fingerprint(pair) for pair in both] == [plain.fingerprint, held.fingerprint]
    assert {fingerprint(pair) for pair in only} == {plain.fingerprint, held.fingerprint}
    assert fingerprint(named[0]) == held.fingerprint
    assert [fingerprint(pair) for pair in none] == [plain.fingerprint]


async def test_a_public_key_without_an_agent_says_what_to_do(plain: KeyPair) -> None:
    with pytest.raises(KeyFileError, match="does not hold the private one"):
        await KeyRing().pairs(host(key=f"{plain.path}.pub"))


async def test_a_hardware_key_without_an_agent_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "id_sk.pub"
    path.write_text(  # made of zeros in the layout of PROTOCOL.u2f; no such key exists
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABHNzaDo=\n"
    )
    with pytest.raises(KeyFileError, match='transport = "openssh"'):
        await KeyRing().pairs(host(key=str(path)))


async def test_a_certificate_beside_the_key_is_offered(plain: KeyPair, tmp_path: Path) -> None:
    ca = make_key(tmp_path / "ca")
    ca.sign(plain, principals="wfmon")
    pairs = await KeyRing().pairs(host(key=str(plain.path)))
    assert pairs[0].has_cert  # the certificate first, the bare key after it
    assert not pairs[1].has_cert


async def test_a_certificate_for_another_key_is_refused(plain: KeyPair, tmp_path: Path) -> None:
    ca = make_key(tmp_path / "ca")
    other = make_key(tmp_path / "other")
    path = ca.sign(other, principals="wfmon")
    with pytest.raises(KeyFileError, match="another key"):
        await KeyRing().pairs(host(key=str(plain.path), certificate=str(path)))
    with pytest.raises(KeyFileError, match="cannot be read"):
        await KeyRing().pairs(host(key=str(plain.path), certificate=str(tmp_path / "none")))
