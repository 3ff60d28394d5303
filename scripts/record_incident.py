"""Record the demo's incident for tests: ``python -m scripts.record_incident FILE.gz``.

The seven simulated hosts only: neither this machine's own row nor the host under the real probe,
whose facts belong to whoever runs this and not into the project.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from console.demo.run import Demo
from console.demo.show import watched

SPEED = 3.0
SECONDS = 36.0
"""The whole incident at that speed, and a little of what comes after it."""


async def record(path: Path) -> None:
    """Run the demo once and keep what it shows in ``path``."""
    async with Demo(speed=SPEED, local=False, workstation=False) as demo:
        engine = watched(demo, path)
        await engine.start()
        try:
            engine.focus("h100-fra-1", "h100-fra-2")
            await asyncio.sleep(SECONDS)
        finally:
            await engine.stop()


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
