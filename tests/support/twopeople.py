"""Enrolled hosts that serve a stream, an attacker on a wire of their own, and people's consoles.

Everything is real: sshd, sudo, the guard that enrolment installed, nft, systemd. The attacker is a
network namespace of this machine with IPv4 and IPv6; management is the link of the lab.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from console.actions.builds import Builds
from console.hostside.guard.trust.people import Roster
from console.hostside.guard.trust.policy import Policy
from console.model.host import Host
from console.trust.kept import Kept
from console.trust.sign import Signing
from tests.support.actionpath import Console
from tests.support.guardlab import GuardLab
from tests.support.lab import LabHost, wait_until
from tests.support.netlab import CLIENT, Running
from tests.support.watchfloor import watchfloor

ROOT = Path(__file__).resolve().parents[2]
API = 8000
GUARD = "/usr/libexec/watchfloor/guard"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
DUMMY = Path("/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so")
RULES = {"isolate": {"mode": "one_then_ratify", "people": 2, "require_uv": True, "ttl_s": 0,
                     "ratify_s": 30}}  # fmt: skip

SERVER = """\
import socket, threading, time
server = socket.create_server(("::", 8000), family=socket.AF_INET6, dualstack_ipv6=True)
def serve(one):
    try:
        while True:
            one.sendall(b"x" * 512)
            time.sleep(0.001)
    except OSError:
        pass
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""
UNIT = """\
[Unit]
Description=A model server that streams
[Service]
ExecStart=/usr/bin/python3 -ISB /opt/model/serve.py
Restart=on-failure
[Install]
WantedBy=multi-user.target
"""
RAW = """
    import socket, sys
    for bypass in (0, 1):
        one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        one.bind(("wfevil", 0))
        one.setsockopt(263, 20, bypass)
        for kind in (0x0800, 0x86DD, 0x88B5):
            frame = b"\\xff" * 6 + b"\\x02" * 6 + kind.to_bytes(2, "big") + b"WFRAW%d" % bypass
            try:
                one.send(frame.ljust(80, b"."))
            except OSError:
                pass
"""
LISTEN = """
    import json, select, socket, sys
    one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    one.bind(("eth0", 0))
    print("ready", flush=True)
    sys.stdin.readline()
    found = []
    while select.select([one], [], [], 0)[0]:
        data = one.recv(65536)
        if b"WFRAW" in data:
            found.append(data[12:14].hex() + data[data.index(b"WFRAW") + 5:][:1].decode())
    print(json.dumps(sorted(found)))
"""
DUMMY_SIGNER = """\
import sys
sys.path.insert(0, {root!r})
from console.trust import signer
ours = signer.environment
signer.environment = lambda askpass: {{**ours(askpass), "SSH_SK_PROVIDER": {dummy!r}}}
sys.exit(signer.main())
"""


class Attacker:
    """A namespace with one wire to a host."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self.name = f"wfevil{host.number}"
        self.addresses = (f"10.214.{host.number}.1", f"fd14:{host.number}::1")
        self.own = (f"10.214.{host.number}.2", f"fd14:{host.number}::2")
        self._running: list[Running] = []

    def __enter__(self) -> Attacker:
        self._ip("netns", "del", self.name, check=False)
        self._ip("netns", "add", self.name)
        pid = str(self.host.network_pid)
        self._ip("-n", self.name, "link", "add", "eth0", "type", "veth", "peer", "name", "wfevil",
                 "netns", pid)  # fmt: skip
        for address, near in zip(self.own, self.addresses, strict=True):
            more = ["/64", "nodad"] if ":" in address else ["/30"]
            for device, inside in (("eth0", address), ("wfevil", near)):
                argv = ["addr", "add", inside + more[0], "dev", device, *more[1:]]
                if device == "eth0":
                    self._ip("-n", self.name, *argv)
                else:
                    self.host.in_network("ip", *argv)
        self._ip("-n", self.name, "link", "set", "eth0", "up")
        self._ip("-n", self.name, "link", "set", "lo", "up")
        self.host.in_network("ip", "link", "set", "wfevil", "up")
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()
        self._ip("netns", "del", self.name, check=False)

    def _ip(self, *argv: str, check: bool = True) -> None:
        subprocess.run(["ip", *argv], check=check, capture_output=True, timeout=30)

    def program(self, text: str, *argv: str) -> Running:
        """Start a program in the namespace."""
        code = textwrap.dedent(text)
        one = Running(["ip", "netns", "exec", self.name, sys.executable, "-c", code, *argv])
        self._running.append(one)
        return one

    def streams(self, silence: float = 5.0) -> list[Running]:
        """A client over IPv4 and one over IPv6, each reading since before this returns."""
        found = [self.program(CLIENT, each, str(API), str(silence)) for each in self.addresses]
        for one in found:
            assert one.line() == "ready True"
        return found

    def connects(self, address: str, seconds: float = 1.0) -> bool:
        """Whether the host serves somebody here."""
        one = self.program(
            "import socket,sys\n"
            "try: print(len(socket.create_connection((sys.argv[1], 8000),"
            " float(sys.argv[2])).recv(1)))\n"
            "except OSError: print(0)",
            address, str(seconds),
        )  # fmt: skip
        return one.line() == "1"

    def frames(self) -> list[str]:
        """What arrives of raw frames that root on the host sends now, past all of its sockets."""
        ears = self.program(LISTEN)
        assert ears.line() == "ready"
        self.host.run("python3", "-c", textwrap.dedent(RAW))
        ears.say("what was heard?")  # a wire of one machine delivers before send returns
        found: list[str] = json.loads(ears.line())
        return found

    def end(self) -> None:
        """End all that runs here."""
        for one in self._running:
            one.stop()
        self._running.clear()


class TwoPeople:
    """The hosts, their attackers, and what people do."""

    def __init__(self, lab: GuardLab, attackers: Sequence[Attacker], dummy: Path | None) -> None:
        self.lab = lab
        self.hosts = lab.hosts
        self.attackers = list(attackers)
        self.dummy = dummy

    def mgmt(self, host: LabHost) -> str:
        """The network of this machine's link to the host."""
        return f"10.213.{host.number}.0/30"

    def params(self, host: LabHost, confirm_s: int = 60) -> dict[str, Any]:
        """An isolation of that host."""
        return {"confirm_s": confirm_s, "mgmt": [self.mgmt(host)]}

    # ---- consoles

    def spec(self, host: LabHost) -> Host:
        """The host as an inventory has it."""
        return Host(
            name=host.name, address=host.address, user="wfmon", key=str(self.lab.monitor.path),
            host_key=(host.host_key_line,), tier=2, guard_id=self.lab.host_id(host),
        )  # fmt: skip

    def console(
        self, person: str, hosts: Sequence[LabHost], folder: Path, signing: Signing | None = None
    ) -> Console:
        """The console of a person over some of the hosts; its files are in ``folder``."""
        chain = Kept(Roster(self.lab.roster), Policy(self.lab.policy))
        return Console(
            person, [], folder, specs=[self.spec(host) for host in hosts], user="wfops",
            login=self.lab.logins[person], chain=chain, builds=Builds(), signing=signing,
        )  # fmt: skip

    def audit(self, person: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """``watchfloor audit`` as that person, whose console kept its evidence in ``folder``."""
        trust = folder / "config/watchfloor/trust"
        if not trust.exists():
            trust.mkdir(parents=True, mode=0o700)
            for kind, data in (("roster", self.lab.roster), ("policy", self.lab.policy)):
                (trust / f"{kind}-1.json").write_bytes(data)
                (trust / f"{kind}-1.sigs").write_text('{"adopted": 1, "signatures": []}')
            for path in trust.iterdir():
                path.chmod(0o600)
        lines = [f'state_dir = "{folder}"', "[operator]", f'person = "{person}"',
                 f'login_key = "{self.lab.logins[person].path}"']  # fmt: skip
        for host in self.hosts:
            lines += ["[[hosts]]", f'name = "{host.name}"', f'address = "{host.address}"',
                      'user = "wfmon"', f'key = "{self.lab.monitor.path}"',
                      f'host_key = "{host.host_key_line}"']  # fmt: skip
        config = folder / "fleet.toml"
        config.write_text("\n".join(lines) + "\n")
        config.chmod(0o600)
        env = {"XDG_CONFIG_HOME": str(folder / "config")}
        return watchfloor("--config", str(config), "audit", *words, env=env)

    def dummy_signer(self, folder: Path) -> Path:
        """The signer's process as it is, but for OpenSSH's own dummy of a FIDO key."""
        path = folder / "signer.py"
        path.write_text(DUMMY_SIGNER.format(root=str(ROOT), dummy=str(DUMMY)))
        return path

    # ---- calls

    def now(self, host: LabHost) -> int:
        """The host's clock, which is this machine's."""
        return int(time.time())

    def state(self, host: LabHost) -> dict[str, Any]:
        """The public state, after the guard has looked."""
        told = self.lab.call(host, {"op": "status"})
        assert told["ok"], told
        state: dict[str, Any] = told["state"]
        return state

    def asked(self, host: LabHost, action: str, params: Mapping[str, Any], **how: Any) -> str:
        """The text of a request of Alice's that waits."""
        envelope = self.lab.request(host, action, dict(params), **how)
        told = self.lab.call(host, envelope)
        assert told["ok"], told
        return envelope["request"]

    def approve(self, host: LabHost, request: str, person: str = "bob") -> dict[str, Any]:
        """Somebody's approval, and what the guard says."""
        decision = self.lab.decision(request, person, self.now(host))
        return self.lab.call(host, decision, person)

    def applied(self, host: LabHost, confirm_s: int = 60, state: str = "APPLIED") -> dict[str, Any]:
        """An isolation by two people that nobody has confirmed: the guard's answer."""
        told = self.approve(host, self.asked(host, "isolate", self.params(host, confirm_s)))
        assert (told["ok"], told.get("state")) == (True, state), told
        return told

    def standing(self, host: LabHost) -> str:
        """A confirmed isolation; its id."""
        told = self.applied(host)
        done = self.confirm(host, told)
        assert (done["ok"], done.get("state")) == (True, "STANDING"), done
        return str(told["id"])

    def confirm(self, host: LabHost, told: Mapping[str, Any]) -> dict[str, Any]:
        """Give the token back over a new connection."""
        token = told["confirm"]["token"]
        return self.lab.call(host, {"op": "confirm", "id": told["id"], "token": token})

    def release(self, host: LabHost, rid: str) -> None:
        """End what stands, by two people."""
        told = self.approve(host, self.asked(host, "release", {"id": rid}))
        assert told["ok"], told
        assert self.state(host)["active"] == []

    def tables(self, host: LabHost) -> list[str]:
        """The guard's tables that the kernel has now."""
        listed = host.in_network("nft", "list", "tables").stdout.splitlines()
        return [line for line in listed if "watchfloor" in line]

    def another_boot(self, host: LabHost) -> None:
        """Give the host another boot id without booting it, and do what its boot unit does."""
        host.run("sh", "-c", "cat /proc/sys/kernel/random/uuid >/run/boot_id")
        host.run("sh", "-c", f"while umount {BOOT_ID} 2>/dev/null; do :; done;"
                 f" mount --bind /run/boot_id {BOOT_ID}")  # fmt: skip
        host.run(GUARD, "boot")

    def guards(self, host: LabHost) -> list[int]:
        """Every process of the host's guard, as this machine numbers them."""
        found = []
        for pid in host.pids():
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if words[:1] == [b"/usr/bin/python3"] and GUARD.encode() in words:
                    found.append(pid)
        return found

    def kill_guards(self, host: LabHost) -> None:
        """SIGKILL to every process of the host's guard."""
        for pid in self.guards(host):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def serve(self, host: LabHost) -> None:
        """Start the model server as a unit of the host."""
        (host.root / "opt/model").mkdir(parents=True, exist_ok=True)
        (host.root / "opt/model/serve.py").write_text(SERVER)
        (host.root / "etc/systemd/system/model.service").write_text(UNIT)
        host.run("systemctl", "enable", "--now", "--quiet", "model.service")


def dummy_key(folder: Path) -> Path | None:
    """A FIDO key of OpenSSH's dummy, which asks for a PIN; None where it is not installed."""
    if not DUMMY.exists() or shutil.which("ssh-keygen") is None:
        return None
    path = folder / "carol_sk"
    argv = ["ssh-keygen", "-q", "-t", "ed25519-sk", "-O", "verify-required", "-w", str(DUMMY)]
    subprocess.run([*argv, "-N", "", "-f", str(path)], check=True, capture_output=True, timeout=60)
    return path


@contextlib.contextmanager
def two_people(folder: Path, numbers: Sequence[int] = (24, 25, 26)) -> Iterator[TwoPeople]:
    """The lab, for as long as the block lasts. Raises LabUnavailable."""
    dummy = dummy_key(folder)
    keys = {}
    if dummy is not None:
        public = " ".join(Path(f"{dummy}.pub").read_text().split()[:2])
        keys["carol"] = {"pub": public, "id": "dummy-1", "not_before": 0, "not_after": 0,
                         "revoked": 0, "hardware": "not-proven"}  # fmt: skip
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(
            GuardLab.booted(folder, numbers, keys=keys, actions=RULES, api_ports=[API])
        )
        attackers = [stack.enter_context(Attacker(host)) for host in lab.hosts]
        found = TwoPeople(lab, attackers, dummy)
        for host in lab.hosts:
            found.serve(host)
        for each in attackers:
            for address in each.addresses:
                wait_until(lambda a=each, n=address: a.connects(n), 20, f"{address} serves")  # type: ignore[misc]
            each.end()
        yield found


def told(one: Running) -> dict[str, Any]:
    """What a client says after its stream has ended: ``last`` and ``end`` (monotonic), ``how``."""
    found: dict[str, Any] = json.loads(one.line())
    return found
