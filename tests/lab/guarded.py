"""The guard's actions and steps driven inside a real host, one process a call."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.lab import LabHost

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "opt/watchfloor-test"
# Policy and signatures are others' business here: what is tried is what is done to the host.
DRIVER = """\
import json, os, sys
sys.path.insert(0, "/opt/watchfloor-test")
from guard.actions import action
from guard.place import Place
from guard.refused import Refused
from guard.steps import step
from guard.steps.base import StepFailed
from guard.world import World

asked = json.load(sys.stdin)
left = [asked.get("kill_at", 0)]
def mark(point):
    left[0] -= 1
    if left[0] == 0:
        os._exit(99)
said = []
world = World(Place(), mark, lambda done, total, words: said.append([done, total, words]))
world.request = asked.get("request", "ab" * 32)
def plan():
    act = action(asked["action"])
    act.check(asked["params"])
    facts = act.facts(asked["params"], world)
    made = act.render(asked["params"], facts, asked["policy"])
    for item in made["steps"]:
        step(item["kind"]).check(item["args"])
    return {"facts": facts, "plan": made, "preview": act.preview(asked["params"], made, world),
            "say": act.say(asked["params"])}
def one():
    args, before, each = asked["args"], asked.get("before"), step(asked["kind"])
    if asked["op"] == "look":
        return each.look(args, world)
    return getattr(each, asked["op"])(args, before, world)
try:
    answer = {"ok": plan() if asked["op"] == "plan" else one(), "progress": said}
except Refused as refused:
    answer = {"refused": refused.rule, "words": refused.words}
except StepFailed as failed:
    answer = {"failed": str(failed)}
print(json.dumps(answer))
"""


class Killed(Exception):
    """The process ended where it was told to."""


class Guarded:
    """Calls of one host. ``policy`` has what the actions read of one."""

    def __init__(self, host: LabHost) -> None:
        self.host = host
        self.policy: dict[str, Any] = {
            "services": [],
            "profiles": {},
            "packages": [],
            "gateway": {},
        }
        target = host.root / FOLDER
        shutil.copytree(
            ROOT / "console/hostside/guard", target / "guard",
            ignore=shutil.ignore_patterns("__pycache__"),
        )  # fmt: skip
        (target / "drive.py").write_text(DRIVER, encoding="utf-8")

    def call(self, **asked: Any) -> dict[str, Any]:
        """One process; its answer. Killed where ``kill_at`` was reached."""
        done = self.host.run(
            "python3", "-ISB", f"/{FOLDER}/drive.py",
            stdin=json.dumps(asked), check=False, timeout=120,
        )  # fmt: skip
        if done.returncode == 99:
            raise Killed
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def ask(self, name: str, **params: Any) -> dict[str, Any]:
        """Facts, plan, preview and words of an action, or the refusal."""
        return self.call(op="plan", action=name, params=params, policy=self.policy)

    def plan(self, name: str, **params: Any) -> dict[str, Any]:
        """The one step of an action that must be possible."""
        found = self.ask(name, **params)
        assert "ok" in found, found
        (only,) = found["ok"]["plan"]["steps"]
        step: dict[str, Any] = only
        return step

    def look(self, step: dict[str, Any]) -> Any:
        """What is there before."""
        found = self.call(op="look", **step)
        assert "ok" in found, found
        return found["ok"]

    def do(self, step: dict[str, Any], before: Any, kill_at: int = 0) -> Any:
        """Do it; it must work."""
        found = self.call(op="do", before=before, kill_at=kill_at, **step)
        assert "ok" in found, found
        return found["ok"]

    def undo(self, step: dict[str, Any], before: Any, kill_at: int = 0) -> None:
        """Undo it; it must work."""
        found = self.call(op="undo", before=before, kill_at=kill_at, **step)
        assert "ok" in found, found

    def holds(self, step: dict[str, Any], before: Any) -> bool:
        """Whether it is still so."""
        return bool(self.call(op="holds", before=before, **step)["ok"])

    def walk(self, step: dict[str, Any], same: Any) -> int:
        """Kill ``do`` and ``undo`` at every mark. After each, undone (twice) the host is as
        before, and done again it holds. ``same`` tells what the host is like. Returns how many
        marks there were."""
        at, was, before = 0, same(), self.look(step)
        while True:
            at += 1
            try:
                self.do(step, before, kill_at=at)
                break
            except Killed:
                self.undo(step, before)
                assert same() == was, f"undone after a kill at mark {at} of do"
        marks = at - 1
        assert marks > 0
        for again in range(1, marks + 1):
            try:
                self.do(step, before, kill_at=again)
            except Killed:
                self.do(step, before)
            assert self.holds(step, before), f"done again after a kill at mark {again}"
        at = 0
        while True:
            at += 1
            try:
                self.undo(step, before, kill_at=at)
                break
            except Killed:
                self.undo(step, before)
                self.undo(step, before)
                assert same() == was, f"undone again after a kill at mark {at} of undo"
                self.do(step, before)
        assert same() == was
        return marks
