"""What this build is. ``scripts/bundle`` writes this module anew for another build.

There is no switch at run time: a build for demonstrations and tests is another file with another
digest, which a console that watches real hosts refuses.
"""

from __future__ import annotations

EFFECTOR = "real"  # or "simulated": steps are recorded in a file and touch nothing
BASE = ""  # folder that stands for "/"; empty on a real host
