"""A host's audit log for tests: written by the guard's own module, signed by real keys."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from console.audit.verify import Material
from console.hostside.guard.audit.log import Log
from console.hostside.guard.place import Place
from console.hostside.guard.trust import canonical
from console.hostside.guard.world import World
from tests.support.guardkit import NOW, key_of, policy_doc, roster_doc

BOOT = "5f0c9e0e-9a3d-4a77-8a29-1d8ab2f8d8ce"
HOST_ID = "h-11"


class Host:
    """One host with an audit key; time passes by hand."""

    def __init__(self, folder: Path, name: str = "gpu01") -> None:
        self.folder = folder
        self.name = name
        self.now = NOW
        self.boot = BOOT
        self.key = folder / "audit_key"
        if not self.key.exists():
            argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(self.key)]
            subprocess.run(argv, check=True)
        self.roster = canonical.write(roster_doc())
        self.policy = canonical.write(policy_doc())
        self.log = self.anew()

    def anew(self) -> Log:
        """The log as the next call of the guard opens it."""
        return Log(
            str(self.folder / "audit"), str(self.key), f"watchfloor/{HOST_ID}",
            World(Place(str(self.folder))),
            lambda: self.now, lambda: self.boot,
        )  # fmt: skip

    @property
    def path(self) -> Path:
        """The file of the log."""
        return Path(self.log.path)

    @property
    def lines(self) -> list[bytes]:
        """Its lines."""
        return self.path.read_bytes().split(b"\n")[:-1]

    @property
    def blob(self) -> bytes:
        """The audit key as an SSH blob."""
        import base64

        return base64.b64decode(self.key.with_suffix(".pub").read_text().split()[1])

    def enrol(self) -> None:
        """Root installs roster and policy."""
        self.log.append("roster", "", {"roster": self.roster.decode(), "signatures": []})
        self.log.append("policy", "", {"policy": self.policy.decode(), "signatures": []})

    def plan(self, action: str = "isolate", ttl_s: int = 0, ends: str = "") -> dict[str, Any]:
        """A plan as the guard would have rendered it; ``ends`` is the request that it releases."""
        undo = {"kind": "undo", "args": {"action": "isolate", "id": ends, "kinds": ["nft"]}}
        return {
            "action": action,
            "confirm_s": 120,
            "params": {},
            "steps": [undo] if ends else [],
            "ttl_s": ttl_s,
            "v": 1,
        }

    def request(
        self,
        by: str = "alice",
        action: str = "isolate",
        mode: str = "two_before",
        ttl_s: int = 0,
        number: int = 0,
        ends: str = "",
    ) -> tuple[str, str, str]:
        """A signed request, its signature and its binding."""  # fmt: skip
        digest = hashlib.sha256
        binding = canonical.write({
            "kind": "binding", "v": 1, "boot_id": BOOT, "facts": {}, "guard": "a" * 64,
            "host_id": HOST_ID, "host_key": "SHA256:" + "A" * 43, "nonce": f"{number:032x}",
            "plan": digest(canonical.write(self.plan(action, ttl_s, ends))).hexdigest(),
            "policy": digest(self.roster).hexdigest() + digest(self.policy).hexdigest(),
        })  # fmt: skip
        text = canonical.write({
            "kind": "request", "v": 1, "action": action, "context": {"workstation": "desk"},
            "expires": self.now + 3000, "mode": mode, "not_before": self.now, "params": {},
            "reason": "INC-4711", "requester": by, "requester_key": key_of(by).fingerprint,
            "targets": [{"host_id": HOST_ID, "bind": digest(binding).hexdigest()}],
        })  # fmt: skip
        return text.decode(), key_of(by).sign(text, "request-v1@watchfloor"), binding.decode()

    def decision(
        self, rid: str, by: str = "bob", verdict: str = "approve", signer: str = ""
    ) -> tuple[str, str]:
        """A signed decision; ``signer`` other than ``by`` makes a forged one."""
        text = canonical.write({
            "kind": "approval", "v": 1, "by": by, "comment": "", "expires": self.now + 600,
            "request_sha256": rid, "verdict": verdict,
        })  # fmt: skip
        return text.decode(), key_of(signer or by).sign(text, "approval-v1@watchfloor")

    def submit(self, **how: Any) -> str:
        """Record a request; its id."""
        text, signature, binding = self.request(**how)
        rid = hashlib.sha256(text.encode()).hexdigest()
        self.log.append(
            "submit", rid, {"request": text, "signature": signature, "binding": binding}
        )
        return rid

    def decide(self, rid: str, **how: Any) -> str:
        """Record a decision; its text."""
        text, signature = self.decision(rid, **how)
        self.log.append("decide", rid, {"decision": text, "signature": signature})
        return text

    def begin(self, rid: str, action: str = "isolate", ttl_s: int = 0, state: str = "APPLIED",
              releases: str = "", **facts: Any) -> None:  # fmt: skip
        """Record an execution."""
        plan = self.plan(action, ttl_s, releases)
        self.log.append("exec_start", rid, {"plan": plan, "people": []})
        self.log.append("exec_end", rid, {"state": state, **facts})

    def isolate(self, number: int = 0) -> str:
        """A whole isolation by Alice and Bob that stands; its id."""
        rid = self.submit(number=number)
        self.now += 5
        self.decide(rid)
        self.begin(rid)
        self.log.append("confirm", rid, {"state": "STANDING"})
        return rid

    def release(self, rid: str, number: int = 0) -> str:
        """Carol and Alice end it."""
        own = self.submit(by="carol", action="release", number=number, ends=rid)
        self.decide(own, by="alice")
        self.begin(own, "release", state="DONE", releases=rid, ends=[rid])
        return own

    def checkpoint(self) -> bytes:
        """As the guard publishes it."""
        return json.dumps(self.log.checkpoint(), sort_keys=True).encode()

    def material(self, active: list[str] | None = None, **changes: Any) -> Material:
        """What a console would fetch now; ``active`` are ids that the host says are in force."""
        state = {"active": [{"id": rid, "state": "STANDING"} for rid in active or []]}
        given: dict[str, Any] = {
            "host": self.name, "lines": self.lines, "checkpoint": self.checkpoint(), "state": state,
        }  # fmt: skip
        return Material(**{**given, **changes})
