"""Runs steps and actions of the guard inside a network namespace: ``python -m`` this module there.

One JSON object a line on standard input, one as the answer. What the guard writes below /run,
/etc and /var/lib lands in a private copy that ends with the process.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

from console.hostside.guard.actions import action
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import step
from console.hostside.guard.steps.base import StepFailed
from console.hostside.guard.world import World

SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER (include/uapi/linux/prctl.h)


def private() -> None:
    """Folders of this process alone; needs a mount namespace of its own."""
    for argv in (
        ["mount", "--make-rprivate", "/"],
        ["mount", "-t", "tmpfs", "tmpfs", "/run"],
        ["mkdir", "/run/upper", "/run/work"],
        ["mount", "-t", "overlay", "overlay", "-o",
         "lowerdir=/etc,upperdir=/run/upper,workdir=/run/work", "/etc"],
        ["mount", "-t", "tmpfs", "tmpfs", "/var/lib"],
    ):  # fmt: skip
        subprocess.run(argv, check=True)
    os.makedirs("/etc/watchfloor", exist_ok=True)


def killed(ask: dict[str, Any], world: World) -> dict[str, Any]:
    """A call of a step in a process group that SIGKILL ends after a random part of 30 ms."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        getattr(step(ask["kind"]), ask["what"])(ask["args"], ask["before"], world)
        os._exit(0)
    try:
        os.setpgid(child, child)
    except OSError:
        pass  # it was quicker
    end = time.monotonic() + random.Random(ask["seed"]).random() * 0.03
    while time.monotonic() < end:
        pass
    os.killpg(child, signal.SIGKILL)
    codes = []
    while True:  # nft too: what it had asked the kernel for is then done or never will be
        try:
            codes.append(os.waitpid(-1, 0)[1])
        except ChildProcessError:
            return {"killed": any(os.WIFSIGNALED(code) for code in codes)}


def answer(ask: dict[str, Any], world: World) -> Any:
    """Carry one call out."""
    call = ask["call"]
    if call == "write":
        with open(os.open(ask["path"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(ask["text"])
        return None
    if call == "killed":
        return killed(ask, world)
    if call in ("facts", "preview"):
        one = action(ask["action"])
        if call == "facts":
            return one.facts(ask["params"], world)
        return one.preview(ask["params"], ask["plan"], world)
    of = step(ask["kind"])
    if call == "look":
        return of.look(ask["args"], world)
    more = [ask["seconds"]] if call == "hold" else []
    return getattr(of, call)(ask["args"], ask["before"], *more, world)


def main() -> None:
    """Answer until the input ends."""
    private()
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    world = World(Place())
    for line in sys.stdin:
        ask = json.loads(line)
        began = time.monotonic()
        try:
            reply = {"value": answer(ask, world)}
        except (StepFailed, Refused) as error:
            reply = {"failed": type(error).__name__, "words": str(error)}
        reply.update(began=began, ended=time.monotonic())
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
