"""Programs as the guard starts them: beside it, by a list of arguments, with nothing of its own."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from console.hostside.guard import spawn
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.simulation import SimulatedWorld
from console.hostside.guard.trust import keygen, signed, sshsig
from console.hostside.guard.world import ENV, World
from tests.support.guardkit import key_of, roster

WORLD = World(Place())
NAMESPACE = "request-v1@watchfloor"


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard works in ``/``, and only there starts programs so."""
    monkeypatch.chdir("/")


def python(code: str, stdin: bytes = b"", timeout: float = 20.0) -> tuple[int, bytes, bytes]:
    ran = WORLD.run([sys.executable, "-ISc", code], stdin, timeout)
    return ran.code, ran.out, ran.err


def test_input_outputs_and_status_go_through_whole() -> None:
    code = "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d[::-1]); sys.exit(3)"
    big = os.urandom(300_000)
    assert python(code, big) == (3, big[::-1], b"")
    assert python("import sys; sys.stderr.write('why'); sys.exit(1)") == (1, b"", b"why")
    assert python("import sys; print(repr(sys.stdin.read()))")[1] == b"''\n"


def test_environment_folder_and_open_files_are_ours_to_say(tmp_path: Path) -> None:
    code = "import os; print(sorted(os.environ.items()), os.getcwd())"
    said = python(code)[1].decode()
    assert all(repr(item) in said for item in ENV.items() if item[0] != "LC_CTYPE")
    assert "PYTEST" not in said
    assert said.rstrip().endswith(" /")
    (tmp_path / "secret").write_text("ours")
    with open(tmp_path / "secret") as mine:
        os.set_inheritable(mine.fileno(), False)
        handle = mine.fileno()
        code = f"import os; print(os.path.exists('/proc/self/fd/{handle}'))"
        # Of this test's own handles some are inherited; the guard closes all when it starts.
        assert python(f"import os; os.fstat({handle})")[0] == 1, python(code)
        code = f"import os; print(os.pread({handle}, 9, 0))"
        ran = WORLD.run([sys.executable, "-ISc", code], fds=(handle,))
        assert ran.out == b"b'ours'\n"
        assert not os.get_inheritable(handle)


def test_one_that_is_ended_or_runs_too_long_or_is_not_there_says_so() -> None:
    assert python("import os; os.kill(os.getpid(), 9)")[0] == -9
    began = time.monotonic()
    assert python("import time; time.sleep(60)", timeout=0.3)[0] == 124
    assert time.monotonic() - began < 10
    assert WORLD.run(["no-such-program"]).code == 127
    assert WORLD.run(["/etc/passwd"]).code == 127


def test_a_simulated_host_starts_nothing_but_ssh_keygen() -> None:
    world = SimulatedWorld(Place())
    assert world.begin(["true"]) is None
    assert world.run(["true"]).code == 127
    assert world.run(["ssh-keygen", "-Q", "key-sig"]).code != 127


def test_a_signature_looked_at_ahead_is_judged_as_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both verifiers still decide, and what was asked ahead is asked once. Threats: 31."""
    message = b'{"x":1}'
    good = key_of("alice").sign(message, NAMESPACE)
    world = World(Place())
    begun: list[str] = []
    real = spawn.start

    def start(program: str, *rest: object) -> spawn.Running:
        begun.append(program)
        return real(program, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(spawn, "start", start)
    people = roster()
    signed.ahead(message, good, people, world)
    parsed = sshsig.parse(good)
    assert begun == [keygen.PROGRAM]
    signed.genuine(message, parsed, world)
    assert begun == [keygen.PROGRAM]
    assert not world.asked
    signed.ahead(b'{"x":2}', good, people, world)  # of another message: worth nothing for this
    with pytest.raises(Refused) as caught:
        signed.genuine(b'{"x":2}', parsed, world)
    assert caught.value.rule == "signature"
    signed.genuine(message, parsed, world)
    signed.ahead(message, key_of("mallory").sign(message, NAMESPACE), people, world)
    signed.ahead(message, "no signature", people, world)
    assert len(begun) == 3  # nothing is asked about a key that nobody enrolled


def test_where_openssh_could_not_be_asked_nothing_is_genuine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    message = b'{"x":1}'
    parsed = sshsig.parse(key_of("alice").sign(message, NAMESPACE))
    world = World(Place())
    monkeypatch.setattr(keygen, "TIME_S", -1.0)
    with pytest.raises(Refused) as caught:
        signed.genuine(message, parsed, world)
    assert caught.value.rule == "verifier"
