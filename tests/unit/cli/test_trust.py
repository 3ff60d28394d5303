"""``hosts trust`` against a real sshd: a key is stored only after its fingerprint was given."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.config.loader import load
from tests.support.sshd import KeyPair, Sshd, free_port, make_key
from tests.support.watchfloor import PYTHON, ROOT, watchfloor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    folder = tmp_path_factory.mktemp("sshd")
    pairs = [make_key(folder / "ed"), make_key(folder / "ec", kind="ecdsa")]
    with Sshd(folder / "server", host_keys=pairs) as running:
        yield running


def fleet(tmp_path: Path, port: int, more: str = "") -> Path:
    """Two lone hosts and a range, all at that port of loopback."""
    file = tmp_path / "fleet.toml"
    text = f"# mine\n[defaults]\nport = {port}\naddress = '127.0.0.1'\n"
    text += f"[[hosts]]\nname = 'gpu01'\n{more}[[hosts]]\nname = 'n[1-2]'\n"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    return file


def key(pair: KeyPair) -> str:
    return " ".join(pair.public.split()[:2])


def at_a_terminal(file: Path, typed: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run ``hosts trust gpu01`` with a terminal as standard input on which ``typed`` is typed."""
    master, slave = os.openpty()
    try:
        os.write(master, typed.encode())
        return subprocess.run(
            [*PYTHON, "--config", str(file), "hosts", "trust", "gpu01", *words],
            check=False,
            stdin=slave,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
        )
    finally:
        os.close(slave)
        os.close(master)


@pytest.mark.parametrize("part", ["whole", "without SHA256:"])
def test_a_typed_fingerprint_stores_the_key(tmp_path: Path, server: Sshd, part: str) -> None:
    file = fleet(tmp_path, server.port)
    pair = server.host_keys[0]
    typed = pair.fingerprint if part == "whole" else pair.fingerprint.removeprefix("SHA256:")
    done = at_a_terminal(file, f" {typed} \n")
    assert (done.returncode, done.stdout) == (
        0,
        f"gpu01: {pair.fingerprint} stored in {file}\n",
    )
    assert f"ssh-ed25519          {pair.fingerprint}\n" in done.stderr
    assert server.host_keys[1].fingerprint in done.stderr
    assert load(only_file=file).known["gpu01"].host_key == (key(pair),)


@pytest.mark.parametrize("typed", ["\n", "\x04", "yes\n", "y\n", "SHA256:\n", "PREFIX\n", "X=\n"])
def test_anything_else_that_is_typed_stores_nothing(
    tmp_path: Path, server: Sshd, typed: str
) -> None:
    file = fleet(tmp_path, server.port)
    before = file.read_bytes()
    typed = typed.replace("PREFIX", server.host_keys[0].fingerprint[:-1])
    done = at_a_terminal(file, typed)
    assert (done.returncode, done.stdout) == (1, "")
    assert "othing was stored" in done.stderr
    assert file.read_bytes() == before


def test_without_a_terminal_only_the_right_fingerprint_stores(tmp_path: Path, server: Sshd) -> None:
    file = fleet(tmp_path, server.port)
    before = file.read_bytes()
    argv = ("--config", str(file), "hosts", "trust", "gpu01")
    done = watchfloor(*argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--fingerprint SHA256:..." in done.stderr
    other = make_key(tmp_path / "other").fingerprint
    for wrong in (other, "", "SHA256:", "*"):
        done = watchfloor(*argv, "--fingerprint", wrong)
        assert (done.returncode, done.stdout) == (1, ""), wrong
        assert file.read_bytes() == before
    second = server.host_keys[1]
    done = watchfloor(*argv, "--fingerprint", second.fingerprint)
    assert done.returncode == 0
    assert load(only_file=file).known["gpu01"].host_key == (key(second),)
    again = watchfloor(*argv, "--fingerprint", second.fingerprint)
    assert (again.returncode, "was already trusted" in again.stdout) == (0, True)


def test_a_host_of_a_range(tmp_path: Path, server: Sshd) -> None:
    file = fleet(tmp_path, server.port)
    mark = server.host_keys[0].fingerprint
    argv = ("--config", str(file), "hosts", "trust", "n2", "--fingerprint", mark)
    assert watchfloor(*argv).returncode == 0
    known = load(only_file=file).known
    assert (known["n1"].host_key, known["n2"].host_key) == ((), (key(server.host_keys[0]),))


def test_a_changed_key_needs_replace(tmp_path: Path, server: Sshd) -> None:
    old, new = make_key(tmp_path / "old"), server.host_keys[0]
    file = fleet(tmp_path, server.port, f"host_key = '{key(old)}'\n")
    before = file.read_bytes()
    argv = ("--config", str(file), "hosts", "trust", "gpu01", "--fingerprint", new.fingerprint)
    done = watchfloor(*argv)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"gpu01 ({file}:7): the host shows none of the keys that are pinned" in done.stderr
    assert "Find out which before you use --replace." in done.stderr
    assert file.read_bytes() == before
    wrong = watchfloor(*argv[:-1], old.fingerprint, "--replace")
    assert (wrong.returncode, file.read_bytes()) == (1, before)
    assert watchfloor(*argv, "--replace").returncode == 0
    assert load(only_file=file).known["gpu01"].host_key == (key(new),)
    assert file.read_text(encoding="utf-8").startswith("# mine\n")


def test_a_file_that_cannot_be_written_says_what_to_add(tmp_path: Path, server: Sshd) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    file = fleet(folder, server.port)
    mark = server.host_keys[0].fingerprint
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" "$1" && mount -o '
         'remount,ro,bind "$1" && shift && exec "$@"', "sh", str(folder), *PYTHON, "--config",
         str(file), "hosts", "trust", "gpu01", "--fingerprint", mark],
        check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("needs a mount namespace (root)")
    assert (done.returncode, done.stdout) == (2, "")
    assert f'{file}: Read-only file system. Nothing was stored; add by hand: host_key = "' in (
        done.stderr
    )
    assert key(server.host_keys[0]) in done.stderr


def test_a_host_that_does_not_answer_or_exist(tmp_path: Path) -> None:
    file = fleet(tmp_path, free_port())
    done = watchfloor("--config", str(file), "hosts", "trust", "gpu01", "--fingerprint", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nothing listens there" in done.stderr
    done = watchfloor("--config", str(file), "hosts", "trust", "gpu1", "--fingerprint", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no host is called 'gpu1'. Did you mean 'gpu01'?" in done.stderr
