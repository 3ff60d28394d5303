"""The whole way over real SSH: two people isolate, and afterwards each console proves it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.audit.recall import kept_checkpoints
from console.hostside.guard.trust import canonical
from console.model.guard import TWO_BEFORE
from console.store.witness import Witness
from tests.support.actionpath import ISOLATE, Console, GuardedHost, path_policy
from tests.support.guardkit import roster_doc
from tests.support.watchfloor import watchfloor


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GuardedHost]:
    made = GuardedHost(tmp_path / "gpu01", "gpu01")
    with made.sshd:
        yield made


def configured(folder: Path, host: GuardedHost) -> dict[str, str]:
    """The files of a console whose state is in ``folder``, and its environment."""
    trust = folder / "config/watchfloor/trust"
    trust.mkdir(parents=True, mode=0o700)
    for kind, doc in (("roster", roster_doc()), ("policy", path_policy())):
        (trust / f"{kind}-1.json").write_bytes(canonical.write(doc))
        (trust / f"{kind}-1.sigs").write_text('{"adopted": 1, "signatures": []}')
    for path in trust.iterdir():
        path.chmod(0o600)
    spec = host.host()
    (folder / "fleet.toml").write_text(
        f'state_dir = "{folder}"\n[operator]\nperson = "alice"\nlogin_key = "{host.login.path}"\n'
        f'login_user = "{host.sshd.user}"\n[[hosts]]\nname = "gpu01"\naddress = "{spec.address}"\n'
        f'port = {spec.port}\nuser = "{spec.user}"\nhost_key = "{spec.host_key[0]}"\n'
    )
    (folder / "fleet.toml").chmod(0o600)
    return {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}


def audit(folder: Path, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return watchfloor("--config", str(folder / "fleet.toml"), "audit", *words, env=env)


async def isolated(host: GuardedHost, tmp_path: Path) -> None:
    """Alice asks, Bob approves, and both consoles watch."""
    async with (
        Console("alice", [host], tmp_path / "a") as alice,
        Console("bob", [host], tmp_path / "b") as bob,
    ):
        await alice.live("gpu01")
        await bob.live("gpu01")
        made = await alice.engine.preview(["gpu01"], "isolate", ISOLATE)
        [outcome] = await alice.engine.submit(made, "INC-4711", TWO_BEFORE, alice.ask)
        await bob.until("approvable", lambda: [r for r in bob.engine.requests() if r.may_approve])
        await bob.engine.decide(["gpu01"], outcome.id, True, "seen", bob.ask)
        for console in (alice, bob):
            await console.until(
                "standing",
                lambda c=console: c.guard("gpu01").isolation == "isolated",  # type: ignore[misc]
            )
            await console.until(
                "evidence",
                lambda c=console: (
                    kept_checkpoints(c.witness, "gpu01")  # type: ignore[misc]
                    and len(c.witness.seen("gpu01", "record")) >= 5
                ),
            )
            assert console.events("audit.") == []


async def test_both_consoles_prove_it_and_find_a_tampered_line(
    host: GuardedHost, tmp_path: Path
) -> None:
    """The end of the issue: proved afterwards, and a changed line is found. Threats: 94, 95, 97."""
    await isolated(host, tmp_path)
    await asyncio.to_thread(proved_and_found, host, tmp_path)


def proved_and_found(host: GuardedHost, tmp_path: Path) -> None:
    envs = {name: configured(tmp_path / name, host) for name in "ab"}
    for name, env in envs.items():
        done = audit(tmp_path / name, env, "verify", "gpu01")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "gpu01: PROVED: " in done.stdout
        assert "2 signatures" in done.stdout
        assert "1 in force" in done.stdout
    pinned_by_a_person(tmp_path / "a", envs["a"])
    shown = audit(tmp_path / "a", envs["a"], "show", "gpu01")
    assert "isolate alice reason: INC-4711" in shown.stdout
    for words in (["export", "gpu01", "-o"], ["checkpoints", "-o"]):
        assert audit(tmp_path / "b", envs["b"], *words, str(tmp_path / words[0])).returncode == 0
    again = audit(tmp_path / "a", envs["a"], "verify", "gpu01", "--from", str(tmp_path / "export"),
                  "--with", str(tmp_path / "checkpoints"))  # fmt: skip
    assert again.returncode == 0, again.stdout

    # Root changes who is told to have approved, and removes what the guard derived from it.
    folder = host.base / "var/lib/watchfloor/guard/audit"
    log = folder / "log.jsonl"
    before = log.read_bytes().split(b"\n")
    at = next(number for number, line in enumerate(before) if b'"ev":"decide"' in line)
    before[at] = before[at].replace(b'"by":"bob"', b'"by":"eve"')
    log.write_bytes(b"\n".join(before))
    for name in ("edge", "index", "checkpoint.json"):
        (folder / name).unlink()
    done = audit(tmp_path / "a", envs["a"], "verify", "gpu01")
    assert done.returncode == 1, done.stdout  # the guard itself refuses to go on with it
    assert "  WRONG    " in done.stdout
    assert "does not end with a whole record" in done.stdout
    file = audit(tmp_path / "a", envs["a"], "verify", "gpu01", "--from", str(log))
    assert file.returncode == 1
    assert f"record {at + 1}: does not follow the line before it" in file.stdout
    assert f"record {at}: is not the one that this console was shown" in file.stdout
    assert "CHANGED" in file.stdout


def pinned_by_a_person(folder: Path, env: dict[str, str]) -> None:
    """Its key is pinned since it was first seen; another one takes its place only with a trace."""
    shown = audit(folder, env, "pin", "gpu01")
    assert shown.returncode == 0, shown.stderr
    assert "(first-sight)" in shown.stdout
    real = shown.stdout.split()[-2]
    other = audit(folder, env, "pin", "gpu01", "--fingerprint", "SHA256:" + "A" * 43)
    assert other.returncode == 1
    assert "the host does not sign with" in other.stdout
    with contextlib.closing(Witness(folder)) as witness:
        witness.repin("gpu01", b"a key of somebody else", "person")
    assert audit(folder, env, "pin", "gpu01").returncode == 1
    assert audit(folder, env, "verify", "gpu01").returncode == 1
    kept = audit(folder, env, "pin", "gpu01", "--fingerprint", real)
    assert kept.returncode == 1
    assert "--replace puts this one in its place" in kept.stdout
    put = audit(folder, env, "pin", "gpu01", "--fingerprint", real, "--replace")
    assert put.returncode == 0, put.stdout
    again = audit(folder, env, "verify", "gpu01")
    assert again.returncode == 0, again.stdout
    assert again.stdout.count("was replaced here by a person on") == 2
