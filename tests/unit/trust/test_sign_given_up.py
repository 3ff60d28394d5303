"""Giving up while a key is asked for leaves nothing behind: no folder, no program."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

from console.model.guard import Prompt
from console.trust.sign import KeyFileSigning
from tests.support.sshd import make_key
from tests.unit.trust.test_sign import DOCUMENT, NAMESPACE


def folders() -> set[str]:
    return {name for name in os.listdir(tempfile.gettempdir()) if name.startswith("watchfloor-ask")}


def with_folder(name: str) -> list[int]:
    """Processes whose environment or arguments name that folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if name.encode() in told:
                found.append(int(entry.name))
    return found


async def test_nothing_is_left_behind(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key", passphrase="correct horse")
    before = folders()
    asked = asyncio.Event()

    async def ask(prompt: Prompt) -> str | None:
        asked.set()
        await asyncio.Event().wait()
        return None

    signing = asyncio.create_task(KeyFileSigning(str(key.path)).sign(NAMESPACE, DOCUMENT, ask))
    await asyncio.wait_for(asked.wait(), 20)
    (mine,) = [name for name in folders() - before if with_folder(name)]
    pids = with_folder(mine)
    assert pids, "ssh-keygen waits for its helper"
    signing.cancel()
    await asyncio.gather(signing, return_exceptions=True)
    assert mine not in folders()
    assert not with_folder(mine)
