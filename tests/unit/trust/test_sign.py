"""Signing: a process of its own, an environment of its own, and nothing that was not asked for."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys
from pathlib import Path

import pytest

from console.errors import ActionError
from console.hostside.guard.trust import canonical, sshsig
from console.model.guard import Prompt
from console.trust import signer
from console.trust.askpass import Askpass, answer
from console.trust.sign import KeyFileSigning, fingerprint
from tests.support.sshd import Agent, make_key

NAMESPACE = "cancel-v1@watchfloor"
DOCUMENT = canonical.write(
    {"kind": "cancel", "v": 1, "by": "alice", "comment": "", "request_sha256": "a" * 64}
)


class Face:
    """Answers prompts and notes them."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.prompts: list[Prompt] = []

    async def __call__(self, prompt: Prompt) -> str | None:
        self.prompts.append(prompt)
        return self.answers.pop(0) if self.answers else None


async def test_a_key_file_signs_what_the_hosts_will_read(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    signing = KeyFileSigning(str(key.path))
    assert fingerprint(signing.blob) == key.fingerprint
    face = Face()
    parsed = sshsig.parse(await signing.sign(NAMESPACE, DOCUMENT, face))
    assert (parsed.namespace, parsed.blob) == (NAMESPACE, signing.blob)
    assert face.prompts == []


async def test_a_passphrase_is_asked_for_through_our_own_helper(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key", passphrase="correct horse")
    face = Face("correct horse")
    signing = KeyFileSigning(str(key.path))
    assert sshsig.parse(await signing.sign(NAMESPACE, DOCUMENT, face)).blob == signing.blob
    (prompt,) = face.prompts
    assert prompt.kind == "passphrase"
    assert prompt.key == str(key.path)


@pytest.mark.parametrize("given", ["tr0ub4dor", None])
async def test_a_wrong_or_no_passphrase_signs_nothing(tmp_path: Path, given: str | None) -> None:
    key = make_key(tmp_path / "key", passphrase="correct horse")
    with pytest.raises(ActionError, match="made no signature") as caught:
        await KeyFileSigning(str(key.path)).sign(NAMESPACE, DOCUMENT, Face(given))
    assert "tr0ub4dor" not in str(caught.value)  # what was typed is in no text


@pytest.mark.parametrize(
    ("namespace", "data", "said"),
    [
        ("git", DOCUMENT, "no person signs"),
        ("checkpoint-v1@watchfloor", DOCUMENT, "no person signs"),
        ("request-v1@watchfloor", DOCUMENT, "not of the kind request"),
        (NAMESPACE, DOCUMENT + b"\n", "canonical"),
        (NAMESPACE, DOCUMENT.replace(b'"by":"alice"', b'"by":"Alice"'), "by"),
        (NAMESPACE, b"{}", "kind"),
    ],
)
async def test_the_signer_reads_the_bytes_again_and_refuses_others(
    tmp_path: Path, namespace: str, data: bytes, said: str
) -> None:
    """Whoever asks, a plugin or a defect of the console: only a document is signed. Threats: 91."""
    key = make_key(tmp_path / "key")
    with pytest.raises(ActionError, match=said):
        await KeyFileSigning(str(key.path)).sign(namespace, data, Face())


async def test_a_planted_ssh_keygen_and_askpass_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threats: 92."""
    key = make_key(tmp_path / "key", passphrase="correct horse")
    marks = tmp_path / "marks"
    marks.mkdir()
    bad = tmp_path / "bin"
    bad.mkdir()
    for name in ("ssh-keygen", "askpass", "python3"):
        (bad / name).write_text(f"#!/bin/sh\ntouch {marks}/{name}\necho x\n")
        (bad / name).chmod(0o755)
    module = tmp_path / "json.py"
    module.write_text(f"open({str(marks / 'json')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{bad}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_ASKPASS", str(bad / "askpass"))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("SSH_SK_PROVIDER", str(bad / "provider.so"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("LD_PRELOAD", "")
    signing = KeyFileSigning(str(key.path))
    signature = await signing.sign(NAMESPACE, DOCUMENT, Face("correct horse"))
    assert sshsig.parse(signature).blob == signing.blob
    assert os.listdir(marks) == []
    told = signer.environment("/x/askpass")
    assert not {"SSH_AUTH_SOCK", "SSH_SK_PROVIDER", "LD_PRELOAD", "PYTHONPATH"} & set(told)
    assert signer.SSH_KEYGEN == "/usr/bin/ssh-keygen"


async def test_an_agent_never_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is in an agent and its file is not here: nothing is signed. Threats: 31."""
    key = make_key(tmp_path / "key")
    with Agent(tmp_path / "agent") as agent:
        agent.add(key)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.path))
        blob = KeyFileSigning(str(key.path)).blob
        public = KeyFileSigning(f"{key.path}.pub")
        with pytest.raises(ActionError, match="no OpenSSH private key"):
            assert public.blob
        with pytest.raises(ActionError, match="private key file"):
            await public.sign(NAMESPACE, DOCUMENT, Face())
        key.path.unlink()
        gone = KeyFileSigning(str(key.path))
        with pytest.raises(ActionError, match="not there"):
            await gone.sign(NAMESPACE, DOCUMENT, Face())
        assert blob


async def test_giving_up_ends_the_signer(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key", passphrase="correct horse")
    asked = asyncio.Event()

    async def waits(prompt: Prompt) -> str | None:
        asked.set()
        await asyncio.Event().wait()
        return None

    signing = asyncio.create_task(KeyFileSigning(str(key.path)).sign(NAMESPACE, DOCUMENT, waits))
    await asked.wait()
    signing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await signing


def test_the_helper_lives_in_a_folder_of_this_user_and_is_gone_afterwards() -> None:
    """Threats: 92."""
    with Askpass() as askpass:
        folder = Path(askpass.program).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(Path(askpass.program).stat().st_mode) == 0o700
    assert not folder.exists()


async def test_the_helper_passes_one_question_and_one_answer() -> None:
    with Askpass() as askpass:
        process = await asyncio.create_subprocess_exec(
            askpass.program, "Enter PIN for key: ", stdout=asyncio.subprocess.PIPE, env={}
        )
        taken = await asyncio.to_thread(askpass.take, os.getpid())
        assert taken is not None
        question, line = taken
        assert question == "Enter PIN for key: "
        answer(line, "1234")
        out, _ = await process.communicate()
        assert (process.returncode, out) == (0, b"1234\n")
        refused = await asyncio.create_subprocess_exec(
            askpass.program, "again", stdout=asyncio.subprocess.PIPE, env={}
        )
        taken = await asyncio.to_thread(askpass.take, os.getpid())
        assert taken is not None
        answer(taken[1], None)
        await refused.communicate()
        assert refused.returncode == 1


def helper_in_use() -> Path:
    """The helper that ssh-keygen, a grandchild of this process, was told to ask by."""
    todo = [os.getpid()]
    while todo:
        folder = Path(f"/proc/{todo.pop()}")
        for word in (folder / "environ").read_bytes().split(b"\0"):
            if word.startswith(b"SSH_ASKPASS=") and b"/watchfloor-ask-" in word:
                return Path(os.fsdecode(word.partition(b"=")[2]))
        for task in (folder / "task").iterdir():
            todo += map(int, (task / "children").read_text().split())
    raise AssertionError("nobody asks")


async def test_a_stranger_at_the_socket_is_asked_nothing_and_told_nothing(tmp_path: Path) -> None:
    """Another process of this user, even one that runs our own helper. Threats: 92."""
    key = make_key(tmp_path / "key", passphrase="correct horse")
    prompts: list[Prompt] = []
    spy = socket.socket(socket.AF_UNIX)
    spy.settimeout(20)
    runs: list[asyncio.subprocess.Process] = []

    async def ask(prompt: Prompt) -> str | None:
        prompts.append(prompt)
        if len(prompts) == 1:
            helper = helper_in_use()
            spy.connect(str(helper.with_name("s")))
            spy.sendall(b"Enter PIN for ED25519-SK key: ")
            spy.shutdown(socket.SHUT_WR)
            runs.append(await asyncio.create_subprocess_exec(
                helper, "Enter PIN: ", env={}, stdout=-1, stderr=-1
            ))  # fmt: skip
        return "correct horse"

    with spy:
        signing = KeyFileSigning(str(key.path))
        assert sshsig.parse(await signing.sign(NAMESPACE, DOCUMENT, ask)).blob == signing.blob
        with contextlib.suppress(ConnectionError):
            assert spy.recv(4096) == b""
    out, _ = await runs[0].communicate()
    assert (out, runs[0].returncode) == (b"", 1)
    assert len(prompts) == 1, "only ssh-keygen's question reached the person"


_GREEDY = """\
#!{python} -ISB
import socket
for _ in range(2):
    with socket.socket(socket.AF_UNIX) as line:
        line.connect({path!r})
        try:
            line.sendall(b"PIN")
            line.shutdown(socket.SHUT_WR)
            print(line.recv(99), flush=True)
        except ConnectionError:
            print("refused", flush=True)
"""


def make_greedy(helper: Path) -> None:
    """One that asks twice in place of the helper."""
    text = _GREEDY.format(python=os.path.realpath(sys.executable), path=f"{helper.parent}/s")
    helper.write_text(text)


async def test_a_child_is_answered_once_and_nobody_else_s_child_is() -> None:
    """Threats: 92."""
    with Askpass() as askpass:
        helper = Path(askpass.program)
        other = await asyncio.create_subprocess_exec("/bin/sleep", "100")
        asks = await asyncio.create_subprocess_exec(helper, "PIN", env={}, stdout=-1, stderr=-1)
        assert await asyncio.to_thread(askpass.take, other.pid) is None
        assert (await asks.communicate())[0] == b""
        assert asks.returncode == 1
        other.kill()
        await other.wait()
        make_greedy(helper)
        greedy = await asyncio.create_subprocess_exec(helper, env={}, stdout=-1)
        taken = await asyncio.to_thread(askpass.take, os.getpid())
        assert taken is not None
        answer(taken[1], "1234")
        assert await asyncio.to_thread(askpass.take, os.getpid()) is None
        out, _ = await greedy.communicate()
        assert out.splitlines()[0] == b"b'+1234'"
        assert out.splitlines()[1] in (b"b''", b"refused")
