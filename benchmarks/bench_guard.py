"""What two people wait for: from the second signature to the attacker's last byte, and one call.

On a real host (``tests.support.twopeople``): a booted systemd with sshd, sudo, nft and the guard as
enrolment installs it. The attacker reads a stream of 512 bytes a millisecond over IPv4 and one over
IPv6. Beside it a call that the guard refuses at once, and an empty interpreter. Without root, or
where no host can be booted, there are no rows.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from console.ssh.guardcall import GuardCaller
from tests.support.lab import LabUnavailable
from tests.support.twopeople import GUARD, TwoPeople, told, two_people

NUMBER = 28
HOME = "wfops"
# Timed inside the host, so that entering its namespaces is not counted.
TIMER = """\
import json, subprocess, sys, time
argv, text, rounds = json.load(sys.stdin)
taken = []
for _ in range(rounds):
    began = time.perf_counter()
    done = subprocess.run(argv, input=text, capture_output=True, text=True)
    taken.append((time.perf_counter() - began) * 1000)
    assert done.returncode == 0 and '"ok":false' not in done.stdout, done
print(json.dumps(taken))
"""


def timed(two: TwoPeople, argv: list[str], text: str, rounds: int) -> float:
    """Milliseconds of a program on the host, the median."""
    asked = json.dumps([argv, text, rounds])
    done = two.hosts[0].run("/usr/bin/python3", "-c", TIMER, stdin=asked)
    return float(statistics.median(json.loads(done.stdout)))


async def _sent(two: TwoPeople, envelope: bytes) -> tuple[float, float, bytes]:
    """When it was sent and answered, and the answer, as a console does it: logged in while the
    person reads and signs."""
    spec = two.spec(two.hosts[0])
    caller = GuardCaller(
        {spec.name: spec}, user="wfops", key=str(two.lab.logins["bob"].path)
    )  # fmt: skip
    try:
        prepared = caller.prepare(spec)
        assert prepared is not None
        await prepared
        began = time.monotonic()
        answer = await caller.send(spec, envelope)
        return began, time.monotonic(), answer.data
    finally:
        await caller.close()


def isolation(two: TwoPeople) -> tuple[float, float]:
    """Milliseconds from sending the second signature to the last byte of either stream, and to
    the guard's answer."""
    host = two.hosts[0]
    request = two.asked(host, "isolate", two.params(host))
    decision = two.lab.decision(request, "bob", two.now(host))
    streams = two.attackers[0].streams()
    began, answered, data = asyncio.run(_sent(two, json.dumps(decision).encode()))
    answer = json.loads(data)
    assert answer["state"] == "APPLIED", answer
    ends = [told(one)["last"] for one in streams]
    two.attackers[0].end()
    two.confirm(host, answer)
    two.release(host, answer["id"])
    return (max(ends) - began) * 1000, (answered - began) * 1000


def refused(two: TwoPeople) -> float:
    """Milliseconds of a call over such a connection that the guard refuses at once."""
    began, answered, _ = asyncio.run(_sent(two, b"[]"))
    return (answered - began) * 1000


def calls(two: TwoPeople, rounds: int) -> list[dict[str, Any]]:
    """Rows of single calls on the host."""
    python = timed(two, ["/usr/bin/python3", "-ISB", "-c", "pass"], "", rounds)
    sudo = ["runuser", "-u", HOME, "--", "sudo", "-n", GUARD]
    params = two.params(two.hosts[0])
    challenge = json.dumps({"op": "challenge", "action": "isolate", "params": params})
    status = '{"op":"status"}'
    rows = []
    for name, argv, text in (
        ("`status`", [GUARD], status),
        ("`status` over sudo", sudo, status),
        ("`challenge` of an isolation", [GUARD], challenge),
        ("`challenge` over sudo", sudo, challenge),
    ):
        ours = timed(two, argv, text, rounds)
        rows.append(
            {"name": f"guard: {name}", "ours": ours, "unit": "ms", "other": python,
             "versus": "ms, an empty interpreter there", "ratio": ours / python,
             "reach": "under 60 ms", "ok": ours < 60}
        )  # fmt: skip
    return rows


def run(quick: bool) -> list[dict[str, Any]]:
    """Three rows of isolations and four of calls."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with two_people(Path(folder), (NUMBER,)) as two:
                rounds = 4 if quick else 12
                isolation(two)  # the first one finds nothing in caches
                taken = [isolation(two) for _ in range(rounds)]
                ssh = statistics.median(refused(two) for _ in range(rounds))
                rows = calls(two, 10 if quick else 40)
        except LabUnavailable as why:
            print(f"no hosts for bench_guard: {why}", file=sys.stderr)
            return []
    last = sorted(one[0] for one in taken)
    middle = statistics.median(last)
    versus = "ms, a call that the guard refuses"
    return [
        {"name": "isolate: second signature sent to last byte of two streams, p50",
         "ours": middle, "unit": "ms", "other": ssh, "versus": versus, "ratio": middle / ssh,
         "reach": "under 150 ms", "ok": middle < 150},
        {"name": f"the same: slowest of {rounds}", "ours": last[-1], "unit": "ms", "other": ssh,
         "versus": versus, "ratio": last[-1] / ssh},
        {"name": "the same: the guard's answer", "ours": statistics.median(t[1] for t in taken),
         "unit": "ms"},
        *rows,
    ]  # fmt: skip
