"""Which builds of the guard a console signs for."""

from __future__ import annotations

import hashlib

from console.actions.builds import Builds, known
from console.hostside import bundle


def test_a_console_knows_its_own_build_and_no_simulated_one() -> None:
    """Threats: 82."""
    real = hashlib.sha256(bundle.guard()).hexdigest()
    builds = Builds()
    assert dict(builds) == known()
    assert builds.get(real) == "real"
    for base in ("", "/srv/demo"):
        simulated = hashlib.sha256(bundle.guard("simulated", base)).hexdigest()
        assert builds.get(simulated) is None


def test_a_console_of_the_demo_knows_the_guard_of_its_own_folder_alone() -> None:
    mine = hashlib.sha256(bundle.guard("simulated", "/srv/demo")).hexdigest()
    assert known("/srv/demo") == {mine: "simulated"}
    assert mine not in known("/srv/other")
