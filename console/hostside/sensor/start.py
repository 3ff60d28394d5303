"""Entry of an installed probe: ``python3 -I -S -u start.py [--tier N]``.

The interpreter runs isolated, so the folder of the installation is put on the path here. As the
sensor of tier 2 it is started by systemd for each connection, with the socket as input and output.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

if sys.argv[1:] == ["--tier", "2"]:
    from confine import make_nothing  # type: ignore[import-not-found]

    try:
        make_nothing()
    except OSError as error:
        # The mounts of the unit and its list of system calls hold all the same.
        sys.stderr.write(f"not kept from making files by /proc/PID/root: {error.strerror}\n")

from watchfloor_probe.main import main  # type: ignore[import-not-found]

sys.exit(main(sys.argv[1:]))
