"""A recording as lines, as fast as they can be printed."""

import sys

from console.engine.replay import ReplayEngine
from console.headless.plain import summary
from console.headless.watch import Lines


def replay(engine: ReplayEngine, *, as_json: bool) -> int:
    """Print what was recorded from the engine's position on.

    Returns 0 when the recording ended in good order, 1 when it was cut off or is damaged: then
    all that could be read was printed, and standard error says what is missing.
    """
    lines = Lines(engine, as_json=as_json, after=engine.told_before)
    while True:
        for line in lines.new(engine.position):
            sys.stdout.write(line + "\n")
        before = engine.position
        engine.step(1)
        engine.snapshot()
        if engine.position == before:
            break
    for line in lines.new(engine.position):
        sys.stdout.write(line + "\n")
    if not as_json:
        sys.stdout.write(summary(engine.snapshot()) + "\n")
    sys.stdout.flush()
    return tell_early_end(engine)


def tell_early_end(engine: ReplayEngine) -> int:
    """Say on standard error what of the recording could not be shown, and why.

    Returns 1 where there is such a thing, else 0.
    """
    if engine.damage:
        sys.stderr.write(
            f"watchfloor: the recording is damaged, first here: {engine.damage}. What builds on "
            "such a line was left out\n"
        )
    if engine.ends:
        sys.stderr.write(f"watchfloor: the recording ends before its time: {engine.ends}\n")
    return 1 if engine.ends or engine.damage else 0
