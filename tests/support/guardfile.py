"""The bundled guard with the simulated effector as a program, called as sshd and sudo would."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from console.hostside import bundle
from console.hostside.guard.caller import Caller
from tests.support.guardhost import Host


class FileHost(Host):
    """A host whose calls are processes of the one file."""

    def __init__(self, base: Path, **how: Any) -> None:
        super().__init__(base, **how)
        self.path = Path(self.place.guard)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(bundle.guard("simulated", str(base)))
        self.path.chmod(0o755)
        self.digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        self.clock.boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        self.clock.time = int(time.time())

    def environ(self, caller: Caller | None = None) -> dict[str, str]:
        """What sudo leaves of sshd's environment."""
        self.port += 1
        who = caller or Caller("wfops", "10.9.1.5", self.port)
        connection = f"{who.address} {who.port} 10.9.1.2 22"
        return {"PATH": os.environ["PATH"], "SSH_CONNECTION": connection, "SUDO_USER": who.user}

    def start(self, *arguments: str, caller: Caller | None = None) -> subprocess.Popen[bytes]:
        """The program, waiting for an envelope."""
        return subprocess.Popen(
            [str(self.path), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.environ(caller),
        )  # fmt: skip

    def call(self, op: str, caller: Caller | None = None, **fields: Any) -> dict[str, Any]:
        """One call and its answer."""
        with self.start(caller=caller) as child:
            out, err = child.communicate(json.dumps({"op": op, **fields}).encode(), timeout=60)
        assert not err, err
        answer: dict[str, Any] = json.loads(out)
        return answer

    def command(self, *arguments: str) -> dict[str, Any]:
        """One of root's own verbs."""
        ran = subprocess.run(
            [self.path, *arguments], capture_output=True, timeout=60, check=False,
            env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        assert not ran.stderr, ran.stderr
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    def tick(self) -> dict[str, Any]:
        """What a timer does."""
        return self.command("tick")
