"""The demo from start to end, on the screens or as plain lines."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from console.demo.drill import FIRST
from console.demo.plain import PlainLog, line_of
from console.demo.rehearsal import Rehearsal
from console.demo.run import Demo
from console.demo.seat import parts
from console.demo.timeline import Stage, stages
from console.demo.told import StageEvents
from console.engine.build import local_engine
from console.engine.protocol import Engine
from console.engine.recorder import recorded
from console.errors import UsageError
from console.model.link import AskPassphrase

LOOK_S = 0.5
GREETING = (
    "! asks for an action, R shows requests; :operator bob or a second terminal with "
    "watchfloor demo --join approves"
)
ENOUGH = 7
"""Hosts that must have been LIVE at one moment for the demo to have worked."""


def hint(script: Sequence[Stage], speed: float) -> str:
    """What to look at, and when."""
    head = "Eight hosts on this machine; `local` is this machine itself. Watch for:"
    rows = [f"  {stage.at / speed:5.0f} s  {stage.see}" for stage in script]
    return "\n".join((head, *rows))


def kept(folder: Path) -> str:
    """Where a kept folder is and what can be done with it."""
    return (
        f"The demo's folder stays: {folder}\n"
        f"In another terminal, while the demo runs:\n"
        f"  watchfloor --config {folder / 'hosts.toml'} status"
    )


def screens(demo: Demo, speed: float, record: Path | None = None, *, wall: bool = False) -> int:
    """Open the screens on ``demo``, not yet started; returns the exit status.

    ``record`` names a file to keep what is shown in; ``wall`` shows the wall board.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the screens need a terminal", hint="Use `watchfloor demo --plain`.")
    from console.config.loader import default_state_dir, user_file
    from console.tui.app import run_app
    from console.tui.control.actions import Mode
    from console.tui.settings import Settings

    def engine(ask: AskPassphrase) -> Engine:
        return watched(demo, record, ask)

    with demo:
        full = Mode.READ_ONLY if demo.config().read_only else Mode.FULL
        mode = Mode.WALL if wall else full
        # Below the screens until they close: then it says what there was to see.
        _say(hint(stages(), speed))
        if demo.keep:
            _say(kept(demo.folder))
        if demo.alone:
            _say(f"No second console can join: {demo.alone}")
        state = default_state_dir() / "demo"  # its own folder is gone at the end
        themes = user_file().parent / "themes"
        return run_app(
            engine,
            Settings(
                title="demo", state=state, mode=mode, own_themes=themes,
                greeting="" if wall else GREETING,
            ),
        )  # fmt: skip


def watched(demo: Demo, record: Path | None, ask: AskPassphrase | None = None) -> Engine:
    """An engine over the demo that tells its stages as events, and is recorded if asked for."""
    told = StageEvents(stages(), demo.stages_begun)
    config = demo.config()
    return recorded(
        lambda more: local_engine(
            config,
            ask_passphrase=ask,
            others=lambda: [*told(), *more()],
            acting=parts(demo.folder, FIRST, config.known, read_only=config.read_only),
        ),
        record,
        title="demo",
    )


def plain(demo: Demo, speed: float, seconds: float | None, record: Path | None = None) -> int:
    """Print calm lines for ``seconds``, or until stopped; 0 when enough hosts were LIVE.

    A reader that leaves ends it quietly, with 0.
    """
    with demo:
        _say(hint(stages(), speed))
        if demo.keep:
            _say(kept(demo.folder))
        if demo.alone:
            _say(f"No second console can join: {demo.alone}")
        try:
            return asyncio.run(_plain(demo, seconds, record))
        except BrokenPipeError:  # the reader of the lines has seen enough, as with `| head`
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())  # else the interpreter fails on it at its end
            os.close(null)
            return 0


async def _plain(demo: Demo, seconds: float | None, record: Path | None) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    config = demo.config()
    # A recorded engine only shows; so the first person acts at one of their own.
    seat = parts(demo.folder, FIRST, config.known, read_only=config.read_only)
    alice = local_engine(config, acting=seat)
    engine: Engine = watched(demo, record) if record else alice
    log = PlainLog(engine, stages())
    await engine.start()
    drill = Rehearsal(demo, alice)
    only_looks = bool(record) or config.read_only
    drilling = None if only_looks else asyncio.create_task(drill.run(), name="drill")
    end = None if seconds is None else loop.time() + seconds
    try:
        while not stopped.is_set():
            for line in log.lines(demo.stages_begun(), time.time()):
                sys.stdout.write(line + "\n")
            for at, who, what in drill.told():
                sys.stdout.write(line_of(at, who, what) + "\n")
            sys.stdout.flush()
            left = LOOK_S if end is None else min(LOOK_S, end - loop.time())
            if left <= 0:
                break
            try:
                async with asyncio.timeout(left):
                    await stopped.wait()
            except TimeoutError:
                continue
    finally:
        if drilling is not None:
            drilling.cancel()
            await asyncio.gather(drilling, return_exceptions=True)
        await engine.stop()
    return 0 if log.most_live >= ENOUGH else 1


def _say(text: str) -> None:
    """Narration goes to standard error; standard output is the demo's lines."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
