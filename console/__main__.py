"""Entry point of the ``watchfloor`` command."""

import sys


def main() -> int:
    """Run the command line and return the process exit code."""
    from console.cli.main import run  # imported here so that `import console` stays free

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
