"""A host's models below a folder: versions, signed manifests, and a service that serves them.

The service is a real process, started and stopped by the calls that the guard makes of systemctl;
``tests/lab/test_rollback.py`` does the same with systemd itself.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from console.hostside.guard.actions import action
from console.hostside.guard.model import manifest
from console.hostside.guard.model.folders import Folder
from console.hostside.guard.place import Place
from console.hostside.guard.refused import Refused
from console.hostside.guard.steps import step
from console.hostside.guard.steps.base import StepFailed
from console.hostside.guard.trust import canonical, documents
from console.hostside.guard.world import ENV, Ran, World
from tests.support import guardkit

SERVICE = "model.service"
ROOT = "/srv/models"
MODEL = "llama"

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        weights = open(sys.argv[1] + "/weights.bin", "rb").read()
        ok = b"BROKEN" not in weights
        self.send_response(200 if ok else 500)
        self.end_headers()
        self.wfile.write(weights[:64])
    def log_message(self, *rest): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Killed(BaseException):
    """The guard was ended here."""


class ModelWorld(World):
    """A world below ``base`` whose one service is a real HTTP server over ``current``."""

    def __init__(self, base: Path) -> None:
        super().__init__(Place(str(base)), self._mark, self._told)
        self.base = base
        self.server: subprocess.Popen[str] | None = None
        self.port = 0
        self.starts = 0
        self.marks: list[str] = []
        self.kill_at = -1
        self.told: list[tuple[int, int, str]] = []
        self.on_mark: Callable[[str], None] = lambda point: None

    def _mark(self, point: str) -> None:
        self.marks.append(point)
        self.on_mark(point)
        if len(self.marks) == self.kill_at:
            raise Killed(point)

    def _told(self, done: int, total: int, words: str) -> None:
        self.told.append((done, total, words))

    def run(
        self, argv: Sequence[str], stdin: bytes = b"", timeout: float = 30.0, cwd: str = "/",
        fds: Sequence[int] = (),
    ) -> Ran:  # fmt: skip
        """Systemd's part is done here; every other program is run."""
        if argv[0] != "systemctl":
            return super().run(argv, stdin, timeout, cwd, fds)
        if "show" in argv:
            alive = self.server is not None and self.server.poll() is None
            state = "active" if alive else "inactive"
            text = (
                f"Id={SERVICE}\nNames={SERVICE}\nLoadState=loaded\nActiveState={state}\n"
                "Type=simple\nResult=success\nUnitFileState=enabled\n"
            )
            return Ran(0, text.encode(), b"")
        if "reset-failed" in argv:
            return Ran(0, b"", b"")
        self.stop()
        if "restart" in argv or "start" in argv:
            self.start()
        return Ran(0, b"", b"")

    def start(self) -> None:
        """Serve what ``current`` leads to now."""
        link = self.base / f"srv/models/{MODEL}/current"
        # As a server that has loaded its weights: what it leads to later does not matter to it.
        folder = os.path.realpath(link)
        self.server = subprocess.Popen(
            [sys.executable, "-I", "-c", SERVER, folder, str(self.port)],
            stdout=subprocess.PIPE, text=True, env=ENV, cwd="/",
        )  # fmt: skip
        assert self.server.stdout is not None
        self.port = int(self.server.stdout.readline() or 0)
        self.starts += 1

    def stop(self) -> None:
        """End the server and wait for it."""
        if self.server is not None:
            self.server.send_signal(signal.SIGKILL)
            self.server.wait()
            assert self.server.stdout is not None
            self.server.stdout.close()
            self.server = None


class Models:
    """The host: its world, its policy, and versions to be made in it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.world = ModelWorld(base)
        for folder in ("etc/watchfloor", "var/lib/watchfloor/guard", "srv/models"):
            (base / folder).mkdir(parents=True, mode=0o755, exist_ok=True)
        for kernel in ("proc", "sys"):
            (base / kernel).symlink_to(f"/{kernel}")
        self.policy = guardkit.policy_doc(services=[SERVICE])
        self.write()

    def write(self, **changes: Any) -> None:
        """Install the roster and the policy, ``changes`` on top of what the policy was."""
        self.policy.update(changes)
        etc = self.base / "etc/watchfloor"
        (etc / "roster.json").write_bytes(guardkit.roster().data)
        (etc / "policy.json").write_bytes(guardkit.policy(**self.policy).data)

    def serve(self, timeout_s: int = 5, kind: str = "link") -> None:
        """Start the service and declare its health check."""
        self.world.start()
        url = f"http://127.0.0.1:{self.world.port}/health"
        line = {
            "service": SERVICE, "kind": kind, "url": url, "expect": 200, "timeout_s": timeout_s,
        }  # fmt: skip
        self.write(health={MODEL: line})

    def folder(self, version: str) -> Path:
        """Where a version lies."""
        return self.base / f"srv/models/{MODEL}/versions/{version}"

    def version(self, version: str, weights: bytes, by: str = "carol", **files: bytes) -> str:
        """Make a version with its signed manifest; the manifest's digest."""
        folder = self.folder(version)
        (folder / "tokenizer").mkdir(parents=True)
        (folder / "weights.bin").write_bytes(weights)
        (folder / "tokenizer/vocab.txt").write_bytes(b"a b c\n")
        for name, data in files.items():
            (folder / name.replace("_", ".")).write_bytes(data)
        return self.sign(version, by)

    def sign(self, version: str, by: str = "carol") -> str:
        """Make and sign the manifest of a version as it is now."""
        with Folder(str(self.folder(version))) as at:
            data = manifest.make(at, MODEL, version, self.world.progress)
        self.put(version, "MANIFEST.json", data, "manifest", by)
        return canonical.sha256(data)

    def put(self, version: str, name: str, data: bytes, kind: str, by: str) -> None:
        """Put a document and its signature into a version's folder."""
        (self.folder(version) / name).write_bytes(data)
        signature = guardkit.key_of(by).sign(data, documents.NAMESPACES[kind])
        (self.folder(version) / f"{name}.sig").write_text(signature)

    def evaluate(self, version: str, digest: str, by: str = "bob", **metrics: int) -> str:
        """Make and sign an evaluation report; its digest."""
        doc = {
            "kind": "evaluation", "v": 1, "model": MODEL, "version": version,
            "manifest_sha256": digest, "metrics": metrics,
        }  # fmt: skip
        data = canonical.write(doc)
        self.put(version, "EVALUATION.json", data, "evaluation", by)
        return canonical.sha256(data)

    def link(self, version: str) -> None:
        """Let ``current`` lead to a version."""
        (self.base / f"srv/models/{MODEL}/current").symlink_to(f"versions/{version}")

    @property
    def current(self) -> str:
        """Where ``current`` leads."""
        return os.readlink(self.base / f"srv/models/{MODEL}/current")

    def plan(self, name: str, **params: Any) -> dict[str, Any]:
        """The plan of an action with the facts of now. Raises Refused."""
        act = action(name)
        act.check(params)
        plan = act.render(params, act.facts(params, self.world), self.policy)
        for item in plan["steps"]:
            step(item["kind"]).check(item["args"])
        return plan

    def preview(self, name: str, **params: Any) -> dict[str, list[str]]:
        """What the host says of an action. Raises Refused."""
        return action(name).preview(params, self.plan(name, **params), self.world)


class Run:
    """Steps of a plan, carried out and undone as the guard's journal does."""

    def __init__(self, plan: dict[str, Any], world: ModelWorld) -> None:
        self.steps = plan["steps"]
        self.world = world
        self.before: list[dict[str, Any]] = []
        self.result: dict[str, Any] = {}

    def go(self) -> str:
        """Do all; why it failed and was undone, or empty."""
        try:
            for number, item in enumerate(self.steps):
                each = step(item["kind"])
                if len(self.before) == number:
                    self.before.append(each.look(item["args"], self.world))
                found = each.do(item["args"], self.before[number], self.world)
                self.result.update(found)
        except (StepFailed, Refused) as error:
            self.undo()
            return str(error)
        return ""

    def undo(self) -> None:
        """Undo all that may have been begun, the last first."""
        for number in range(len(self.before) - 1, -1, -1):
            item = self.steps[number]
            each = step(item["kind"])
            if each.undoable:
                each.undo(item["args"], self.before[number], self.world)


def end(models: Models) -> None:
    """Stop what runs and remove the folder."""
    models.world.stop()
    shutil.rmtree(models.base)
