"""The guard of one simulated host: the simulated build, below a folder of its own.

Each call is a process of its own with the envelope on its standard input, as sshd and sudo start
the real one. Everything but the steps is real: signatures, states, files and the audit log.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import marshal
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from console.demo.drill import Drill, write
from console.demo.effects import Effects, judged, leaves, versions
from console.demo.simulate import SimState
from console.hostside import bundle
from console.hostside.guard.place import Place
from console.hostside.guard.state.files import lock
from console.hostside.guard.trust import canonical

CALL_S = 30.0
MAX_ANSWER = 2 << 20
LATE_S = 1.0
"""Behind a deadline: then what a timer would do on a host is done by a tick."""
RETRY_S = 5.0

_CODES: dict[str, bytes] = {}
"""The compiled modules of the first guard: all others differ in where they live, and no more."""


class HostGuard:
    """A guard and what its host makes of it."""

    def __init__(
        self, drill: Drill, state: SimState, host_key: str, made: Callable[[str], None]
    ) -> None:
        """``host_key`` is the public key line of the host's SSH server; ``made`` is called with the
        digest of the guard's file, in another thread, before the guard is first run."""
        self.state = state
        base = Path(os.path.realpath(drill.folder)) / "guards" / state.host.name
        self.base = base
        self.place = Place(str(base))
        self.program = base / "guard"
        self.digest = ""
        self._drill = drill
        self._host_key = host_key
        self._tell = made
        self._effects = Effects(state)
        self._seen: tuple[int, int] | None = None
        self._due = 0.0
        self._ticked = 0.0
        self._busy = asyncio.Lock()
        self._made = False

    # --- making

    async def make(self) -> None:
        """Write its files, and let it say for the first time how the host is."""
        async with self._busy:
            if not self._made:
                await asyncio.to_thread(self._write)
                self._made = True
        await self.tick()

    def _write(self) -> None:
        import asyncssh

        place, base = self.place, self.base
        boot = place.path("/proc/sys/kernel/random")
        for folder in (place.etc, f"{place.state}/audit", f"{base}/etc/ssh", f"{base}/run", boot):
            os.makedirs(folder, 0o700)
        write(Path(f"{boot}/boot_id"), self.state.boot_id.encode() + b"\n")
        identity = {"kind": "identity", "v": 1, "host_id": self.state.host_id}
        trusted = {
            "identity": canonical.write(identity),
            "roster": self._drill.roster,
            "policy": self._drill.policy,
        }
        for name, data in trusted.items():
            write(Path(f"{place.etc}/{name}.json"), data)
        key = asyncssh.generate_private_key("ssh-ed25519")
        write(Path(f"{place.state}/audit/audit_key"), key.export_private_key())
        write(Path(f"{place.state}/audit/audit_key.pub"), key.export_public_key())
        public = base / "etc/ssh/ssh_host_ed25519_key.pub"
        write(public, self._host_key.encode() + b"\n")
        self._simulate()
        data = bundle.guard("simulated", str(base))
        write(self.program, data, 0o700)
        self.digest = hashlib.sha256(data).hexdigest()
        self._compile()
        self._tell(self.digest)

    def _compile(self) -> None:
        """Spare the first call of each guard what it would do: compiling takes half a second."""
        from console.hostside.guard import start

        built = f"{start.PACKAGE}.built"
        if not _CODES:
            _CODES.update(start.compiled(str(self.program)))
        text = f'"""What this build is."""\n\nEFFECTOR = "simulated"\nBASE = {str(self.base)!r}\n'
        text = text.replace('"simulated"', "'simulated'")
        name = built.replace(".", "/") + ".py"
        code = compile(text, name, "exec", dont_inherit=True)
        data = marshal.dumps({**_CODES, built: marshal.dumps(code)})
        tag = f"{sys.implementation.cache_tag}-{sys.hexversion:x}"
        folder = Path(f"{self.place.state}/code")
        folder.mkdir(mode=0o700)
        write(folder / f"{self.digest[:32]}-{tag}", hashlib.sha256(data).digest() + data)

    def _simulate(self) -> None:
        """Tell the simulation what its host is like just now; its own records stay."""
        path = Path(f"{self.place.state}/simulated.json")
        handle = lock(f"{path}.lock")
        try:
            table: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
            table |= {
                "facts": self._facts(), "preview": self._previews(), "pace_s": 0.5,
                "processes": judged(self.state), "models": versions(self.state),
            }  # fmt: skip
            fresh = path.with_suffix(".fresh")
            write(fresh, json.dumps(table).encode())
            fresh.rename(path)
        finally:
            os.close(handle)

    def _facts(self) -> dict[str, Any]:
        nic = self.state.host.nic.name
        return {
            "isolate": {
                "destroy": True, "dhcp": False, "egress": True, "families": [4, 6],
                "interfaces": [nic], "sshd_port": 22,
            }
        }  # fmt: skip

    def _previews(self) -> dict[str, Any]:
        from console.demo.drill import MGMT

        ends, stays = leaves(self.state, MGMT)
        said = "a simulated host: nothing on this machine is touched"
        return {
            "isolate": {
                "effect": [
                    f"ends {len(ends)} groups of connections, and lets none begin anew",
                    *(f"stays: {line}"[:200] for line in stays[:4]),
                ],
                "residual": [said],
                "cut_off": [line[:200] for line in ends[:12]],
                "remains": [],
            }
        }

    # --- calls

    async def call(self, envelope: bytes, environ: Mapping[str, str]) -> bytes:
        """What it answers to one envelope. Raises TimeoutError and OSError."""
        async with self._busy:
            if not self._made:
                await asyncio.to_thread(self._write)
                self._made = True
            await asyncio.to_thread(self._simulate)
            out = await self._run([], envelope, environ)
        self.look()
        return out

    async def tick(self) -> None:
        """What a timer of the host does."""
        async with self._busy:
            await self._run(["tick"], b"", {})
        self.look()

    async def _run(
        self, arguments: list[str], envelope: bytes, environ: Mapping[str, str]
    ) -> bytes:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-B", str(self.program), *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environ},
            cwd="/",
        )  # fmt: skip
        try:
            async with asyncio.timeout(CALL_S):
                out, _ = await process.communicate(envelope)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return out[:MAX_ANSWER]

    # --- what it publishes

    def due(self, now: float) -> bool:
        """Whether something is overdue that a timer would do."""
        if not self._made or not self._due or self._busy.locked():
            return False
        if now < self._due + LATE_S or now < self._ticked + RETRY_S:
            return False
        self._ticked = now
        return True

    def look(self) -> bool:
        """Take over what is new in the folder that a probe sees; whether anything is."""
        path = f"{self.place.public}/index.json"
        try:
            status = os.stat(path)
            seen = (status.st_mtime_ns, status.st_ino)
            if seen == self._seen:
                return False
            index = json.loads(Path(path).read_bytes())["docs"]
            docs = {
                each["sha256"]: (
                    each["kind"], Path(f"{self.place.public}/docs/{each['sha256']}").read_bytes()
                )
                for each in index
            }  # fmt: skip
        except (OSError, ValueError):
            return False  # it is being written anew; the next look sees the whole
        self._seen = seen
        self.state.spool = docs
        for kind, data in docs.values():
            if kind == "state":
                self._state(json.loads(data))
        expiries = [_expires(data) for kind, data in docs.values() if kind == "request"]
        self._due = min([at for at in (self._due, *expiries) if at], default=0.0)
        for turned in list(self.state.turned):
            turned()
        return True

    def _state(self, doc: dict[str, Any]) -> None:
        ends = [item[name] for item in doc["active"] for name in ("deadline", "ttl_until")]
        self._due = float(min((at for at in ends if at), default=0))
        self._effects.follow(doc)


def _expires(envelope: bytes) -> float:
    return float(json.loads(json.loads(envelope)["request"])["expires"])
