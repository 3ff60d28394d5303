"""A host with a guard below a temporary folder: people sign, calls are made, time passes when told.

Every call makes a fresh ``Guard``, as every call of the real one is a process of its own. Steps are
those of the simulated build; signatures, documents, files and audit are the real ones.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.demo.fido import FidoKey
from console.hostside.guard import call
from console.hostside.guard.caller import Caller
from console.hostside.guard.guard import Guard
from console.hostside.guard.place import Place
from console.hostside.guard.simulation import SimulatedWorld
from console.hostside.guard.state.clock import Clock
from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.documents import NAMESPACES
from tests.support.guardkit import NOW, key_of, policy_doc, roster_doc

BOOT = "11111111-2222-3333-4444-555555555555"
OTHER_BOOT = "99999999-2222-3333-4444-555555555555"
DIGEST = "ab" * 32
ISOLATE = {"confirm_s": 60, "mgmt": ["10.9.1.0/24"]}


class Killed(BaseException):
    """The end of the process, at a mark."""


class FakeClock(Clock):
    """Goes only when told."""

    def __init__(self) -> None:
        super().__init__(BOOT)
        self.time = NOW
        self.boottime = 1000.0

    def now(self) -> int:
        """Seconds since the epoch."""
        return self.time

    def since_boot(self) -> float:
        """Seconds since boot."""
        return self.boottime

    def go(self, seconds: int) -> None:
        """Let time pass."""
        self.time += seconds
        self.boottime += seconds

    def reboot(self, seconds: int = 60) -> None:
        """Another boot."""
        self.time += seconds
        self.boottime = 20.0
        self.boot_id = OTHER_BOOT


class Host:
    """One host. ``mark`` is called at every mark of the guard."""

    def __init__(
        self, base: Path, host_id: str = "h-11", policy: dict[str, Any] | None = None
    ) -> None:
        self.place = Place(str(base))
        self.clock = FakeClock()
        self.host_id = host_id
        self.mark: Callable[[str], None] = lambda point: None
        self.armed: list[int] = []
        self.watchers: list[str] = []
        self.digest = DIGEST
        self.effector = "simulated"
        self.port = 50_000
        for folder in (self.place.etc, self.place.state + "/audit", str(base) + "/etc/ssh"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            Path(folder).chmod(0o755)
        Path(self.place.state).chmod(0o700)
        host_key = FidoKey(hashlib.sha256(host_id.encode()).digest())
        self.host_key = host_key.fingerprint
        Path(f"{base}/etc/ssh/ssh_host_ed25519_key.pub").write_text(
            host_key.public_line + " host\n"
        )
        self.install("identity", {"kind": "identity", "v": 1, "host_id": host_id})
        self.install("roster", roster_doc())
        rule = {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0,
                "ratify_s": 300}  # fmt: skip
        self.install("policy", policy or policy_doc(actions={"isolate": rule}))
        key = Path(self.place.state, "audit/audit_key")
        if not key.exists():
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True
            )  # fmt: skip

    def install(self, name: str, doc: dict[str, Any]) -> None:
        """Write one of the three files that are trusted."""
        path = Path(self.place.etc, name + ".json")
        path.write_bytes(canonical.write(doc))
        path.chmod(0o644)

    def guard(self, caller: Caller | None = None) -> Guard:
        """A process of the guard."""
        self.port += 1
        who = caller or Caller("wfops", "10.9.1.5", self.port, "SHA256:login-a")
        world = SimulatedWorld(self.place, self.mark)
        return Guard(world, self.clock, who, self.digest, self.effector, self.watch)

    def watch(self, seconds: int, name: str) -> None:
        """A watcher is wanted."""
        self.armed.append(seconds)
        self.watchers.append(name)

    def call(self, op: str, caller: Caller | None = None, **fields: Any) -> dict[str, Any]:
        """One call and its answer."""
        return call.answer(self.guard(caller), {"op": op, **fields})

    def tick(self) -> dict[str, Any]:
        """What a timer does."""
        return call.locked(self.guard(), call.tick)

    def challenge(self, action: str = "isolate", **params: Any) -> dict[str, Any]:
        """The answer to a challenge."""
        return self.call("challenge", action=action, params=params or ISOLATE)

    def signed(self, kind: str, person: str, doc: dict[str, Any], **how: Any) -> tuple[str, str]:
        """A document of that kind with its signature."""
        text = canonical.write({"kind": kind, "v": 1, **doc})
        return text.decode(), key_of(person).sign(text, NAMESPACES[kind], **how)

    def binding(self, challenge: dict[str, Any], plan: str) -> str:
        """The binding that belongs to a challenge and the digest of a plan."""
        doc = {key: challenge[key] for key in ("boot_id", "facts", "guard", "host_id", "nonce")}
        doc.update(kind="binding", v=1, plan=plan, policy=challenge["policy"])
        doc["host_key"] = challenge["host_keys"][0]
        return canonical.write(doc).decode()

    def request(
        self,
        person: str = "alice",
        action: str = "isolate",
        params: dict[str, Any] | None = None,
        mode: str = "two_before",
        **changes: Any,
    ) -> dict[str, Any]:
        """The fields of a ``submit``, made from a fresh challenge."""
        params = ISOLATE if params is None else params
        found = self.call("challenge", action=action, params=params)
        assert found["ok"], found
        from console.hostside.guard.state import machine

        plan = machine.plan(self.guard(), action, params, found["facts"])
        bind = self.binding(found, canonical.sha256(canonical.write(plan)))
        doc = {
            "action": action, "context": {"workstation": "desk"}, "expires": found["now"] + 900,
            "mode": mode, "not_before": found["now"], "params": params,
            "reason": "Beaconing from the vLLM worker, INC-4711, seen on both sensors",
            "requester": person, "requester_key": key_of(person).fingerprint,
            "targets": [{"bind": canonical.sha256(bind.encode()), "host_id": self.host_id}],
        }  # fmt: skip
        doc.update(changes)
        text, signature = self.signed("request", person, doc)
        return {"request": text, "signature": signature, "binding": bind}

    def submit(self, person: str = "alice", **how: Any) -> dict[str, Any]:
        """A request handed in."""
        return self.call("submit", **self.request(person, **how))

    def decision(
        self, rid: str, person: str = "bob", verdict: str = "approve", **changes: Any
    ) -> dict[str, Any]:
        """The fields of a ``decide``."""
        doc = {"by": person, "comment": "", "expires": self.clock.time + 600,
               "request_sha256": rid, "verdict": verdict, **changes}  # fmt: skip
        text, signature = self.signed("approval", person, doc)
        return {"decision": text, "signature": signature}

    def decide(self, rid: str, person: str = "bob", **how: Any) -> dict[str, Any]:
        """A verdict handed in."""
        return self.call("decide", **self.decision(rid, person, **how))

    def confirm(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The token brought back over a new connection."""
        return self.call("confirm", id=answer["id"], token=answer["confirm"]["token"])

    def applied(self, **how: Any) -> dict[str, Any]:
        """An isolation that two people have asked for, not yet confirmed."""
        answer = self.decide(self.submit(**how)["id"])
        assert answer["ok"], answer
        return answer

    def standing(self, **how: Any) -> str:
        """One that is confirmed as well; its id."""
        answer = self.applied(**how)
        if "confirm" in answer:
            assert self.confirm(answer)["state"] == "STANDING"
        return str(answer["id"])

    @property
    def state(self) -> dict[str, Any]:
        """The state document as the probe would read it."""
        return self.published("state")[0]

    def published(self, kind: str) -> list[dict[str, Any]]:
        """Documents of a kind, each checked against its digest in the index."""
        index = json.loads(Path(self.place.public, "index.json").read_bytes())
        found = []
        for each in index["docs"]:
            data = Path(self.place.public, "docs", each["sha256"]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == each["sha256"]
            assert len(data) == each["size"]
            if each["kind"] == kind:
                found.append(json.loads(data))
        return found

    def done(self) -> list[str]:
        """Kinds of simulated steps that are done now."""
        path = Path(self.place.state, "simulated.json")
        if not path.exists():
            return []
        return sorted(key.partition(":")[0] for key in json.loads(path.read_bytes())["done"])

    def simulate(self, **table: Any) -> None:
        """Change the table of the simulation."""
        path = Path(self.place.state, "simulated.json")
        found = json.loads(path.read_bytes()) if path.exists() else {"done": {}}
        path.write_text(json.dumps({**found, **table}))
        path.chmod(0o600)

    def audit(self) -> list[dict[str, Any]]:
        """The records of the audit log."""
        path = Path(self.place.state, "audit/log.jsonl")
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_bytes().splitlines()]

    def events(self, rid: str = "") -> list[str]:
        """Names of the records, of one request or of all."""
        return [each["ev"] for each in self.audit() if not rid or each["rid"] == rid]
