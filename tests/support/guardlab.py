"""Real hosts with a guard, enrolled the way an administrator does, and people who sign.

    with GuardLab.booted(folder, (24, 25, 26)) as lab:
        answer = lab.call(lab.hosts[0], {"op": "status"}, person="alice")

The people's signing keys are throw-away FIDO keys made in software (``guardkit.key_of``), their
login keys are files. Calls go over the system's ssh, sshd and sudo of the host.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from console.hostside.guard.trust import canonical
from console.hostside.guard.trust.documents import NAMESPACES
from tests.support.guardkit import key_of, person_entry, policy_doc, roster_doc
from tests.support.lab import LabHost
from tests.support.sshd import KeyPair, make_key

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ("alice", "bob", "carol")


class GuardLab:
    """``hosts``, all that their enrolment was made of, and the console's inventory ``config``."""

    def __init__(
        self, hosts: Sequence[LabHost], folder: Path, *,
        keys: Mapping[str, Mapping[str, Any]] | None = None, **policy: Any,
    ) -> None:  # fmt: skip
        """``keys`` has further signing keys of people, as a roster lists them; ``policy`` what
        differs from ``guardkit.policy_doc``."""
        self.hosts = list(hosts)
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.monitor: KeyPair = make_key(folder / "wfmon")
        self.logins: dict[str, KeyPair] = {
            name: make_key(folder / f"{name}_login") for name in PEOPLE
        }
        people = {name: person_entry(key_of(name)) for name in PEOPLE}
        for name, entry in (keys or {}).items():
            people[name]["keys"].append(entry)
        self.roster = canonical.write(roster_doc(people=people))
        networks = [f"10.213.{host.number}.0/30" for host in hosts]
        self.policy = canonical.write(policy_doc(mgmt_networks=networks, **policy))
        (folder / "roster.json").write_bytes(self.roster)
        (folder / "policy.json").write_bytes(self.policy)
        self.config = folder / "fleet.toml"
        self._known = folder / "known_hosts"

    @classmethod
    @contextlib.contextmanager
    def booted(cls, folder: Path, numbers: Sequence[int], **about: Any) -> Iterator[GuardLab]:
        """Boot and enrol the lab's hosts of these numbers; ``about`` as ``__init__`` takes it.

        Raises LabUnavailable where there can be none.
        """
        with contextlib.ExitStack() as stack:
            hosts = [stack.enter_context(LabHost(number)) for number in numbers]
            lab = cls(hosts, folder, **about)
            for host in hosts:
                lab.enroll(host)
            lab.write_config()
            yield lab

    # ---- enrolment

    def watchfloor(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run the command the way a person would, with nothing of this user."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8",
               "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(self.home / "config")}  # fmt: skip
        return subprocess.run(
            [sys.executable, "-m", "console", *argv], cwd=self.folder, env=env, check=False,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def options(self, tier: int = 2) -> list[str]:
        """Options of ``enroll`` for a host with a guard."""
        keys = [word for login in self.logins.values()
                for word in ("--operator-key", f"{login.path}.pub")]  # fmt: skip
        return [
            "--tier", str(tier), "--key", f"{self.monitor.path}.pub", "--guard",
            "--roster", str(self.folder / "roster.json"),
            "--policy", str(self.folder / "policy.json"), *keys,
        ]  # fmt: skip

    def printed(self, host: LabHost, *argv: str) -> str:
        """What ``watchfloor enroll`` prints for a host."""
        done = self.watchfloor("enroll", host.name, "--print", *argv)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_script(
        self, host: LabHost, script: str, *argv: str, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a script on a host as root, from a file."""
        host.run("tee", "/root/script", stdin=script)
        done = host.run("sh", "/root/script", *argv, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def enroll(self, host: LabHost, tier: int = 2) -> str:
        """Enrol a host with its guard; what the script said."""
        return self.run_script(host, self.printed(host, *self.options(tier))).stdout

    def host_id(self, host: LabHost) -> str:
        """The random id that enrolment gave the host."""
        identity = json.loads((host.root / "etc/watchfloor/identity.json").read_text())
        return str(identity["host_id"])

    def write_config(self) -> None:
        """Write the inventory, with Alice as the operator."""
        login = self.logins["alice"].path
        lines = ["workstation = false", f'state_dir = "{self.folder}/state-alice"', "",
                 "[operator]", 'person = "alice"', f'login_key = "{login}"', ""]  # fmt: skip
        for host in self.hosts:
            lines += [
                "[[hosts]]", f'name = "{host.name}"', f'address = "{host.address}"',
                'user = "wfmon"', f'key = "{self.monitor.path}"',
                f'host_key = "{host.host_key_line}"', "tier = 2",
                f'guard_id = "{self.host_id(host)}"', "",
            ]  # fmt: skip
        self.config.write_text("\n".join(lines), encoding="utf-8")

    # ---- logins

    def ssh_argv(
        self, host: LabHost, user: str, key: KeyPair, *argv: str, flags: Sequence[str] = ()
    ) -> list[str]:
        """The command line of ``ssh`` to a host; ``flags`` come before the destination."""
        self._known.write_text(
            "".join(f"{each.address} {each.host_key_line}\n" for each in self.hosts)
        )
        options = [
            f"UserKnownHostsFile={self._known}", "GlobalKnownHostsFile=/dev/null", "BatchMode=yes",
            "IdentitiesOnly=yes", f"IdentityFile={key.path}", "ConnectTimeout=10", "LogLevel=INFO",
        ]  # fmt: skip
        words = [word for option in options for word in ("-o", option)]
        return ["ssh", "-F", "/dev/null", *words, *flags, f"{user}@{host.address}", *argv]

    def ssh(
        self, host: LabHost, user: str, key: KeyPair, *argv: str, flags: Sequence[str] = (),
        stdin: bytes = b"", env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
        """``ssh`` to a host, to its end."""
        return subprocess.run(
            self.ssh_argv(host, user, key, *argv, flags=flags), input=stdin, capture_output=True,
            check=False, timeout=90, env={**os.environ, **(env or {})},
        )  # fmt: skip

    def call(
        self, host: LabHost, envelope: dict[str, Any], person: str = "alice"
    ) -> dict[str, Any]:
        """One call of a host's guard by a person's login."""
        done = self.ssh(host, "wfops", self.logins[person], stdin=json.dumps(envelope).encode())
        assert done.stdout.strip(), done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    # ---- documents

    def sign(self, person: str, kind: str, data: bytes) -> str:
        """A person's signature of a document, touched and with PIN."""
        return key_of(person).sign(data, NAMESPACES[kind])

    def request(
        self, host: LabHost, action: str, params: dict[str, Any], mode: str = "two_before"
    ) -> dict[str, str]:
        """An envelope ``submit`` of Alice's for one host: challenge asked, bound and signed."""
        told = self.call(host, {"op": "challenge", "action": action, "params": params})
        assert told["ok"], told
        plan = self._plan(action, params, told)
        binding = canonical.write({
            "kind": "binding", "v": 1, "boot_id": told["boot_id"], "facts": told["facts"],
            "guard": told["guard"], "host_id": told["host_id"], "host_key": told["host_keys"][0],
            "nonce": told["nonce"], "plan": plan, "policy": told["policy"],
        })  # fmt: skip
        request = canonical.write({
            "kind": "request", "v": 1, "action": action, "params": params, "mode": mode,
            "context": {"workstation": "lab"}, "not_before": told["now"],
            "expires": told["now"] + 600,
            "reason": "a drill in the lab, nothing is wrong", "requester": "alice",
            "requester_key": key_of("alice").fingerprint,
            "targets": [{"host_id": told["host_id"], "bind": canonical.sha256(binding)}],
        })  # fmt: skip
        return {"op": "submit", "request": request.decode(), "binding": binding.decode(),
                "signature": self.sign("alice", "request", request)}  # fmt: skip

    def _plan(self, action: str, params: dict[str, Any], told: dict[str, Any]) -> str:
        from console.hostside.guard.actions import action as named

        rules = json.loads(told["policy_text"])
        made = named(action).render(params, told["facts"], rules)
        return canonical.sha256(
            canonical.write({**made, "action": action, "params": params, "v": 1})
        )

    def decision(
        self, request: str, person: str, now: int, verdict: str = "approve"
    ) -> dict[str, str]:
        """An envelope ``decide`` of another person over a request."""
        data = canonical.write({
            "kind": "approval", "v": 1, "by": person, "comment": "", "expires": now + 300,
            "request_sha256": canonical.sha256(request.encode()), "verdict": verdict,
        })  # fmt: skip
        return {"op": "decide", "decision": data.decode(),
                "signature": self.sign(person, "approval", data)}  # fmt: skip
