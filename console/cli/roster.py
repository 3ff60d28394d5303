"""``watchfloor roster``: who may do what, as a signed chain. ``policy`` is its sister."""

from typing import Any

from console.cli import trustverbs

ABOUT = """\
The roster says who signs with which keys and who may ask for or approve what. Each one is signed by
people of the one before; the first is what you begin with (docs/guard-enrol.md).

  watchfloor roster init --person alice=alice.pub --person bob=bob.pub
  watchfloor roster show > now; watchfloor roster show --document > next.json    # edit next.json
  watchfloor roster propose next.json       # writes roster-2.json, says what changes
  watchfloor roster sign roster-2.json      # each person, and each key that is new in it
  watchfloor roster install roster-2.json   # this console takes it over; hosts by two people

exit status: 0 done, 1 not verified, not proven or different, 2 usage or configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    parser = trustverbs.add(sub, "roster", "show and change who may do what, by signatures", ABOUT)
    init, verbs = parser
    init.add_argument(
        "--person", action="append", default=[], metavar="NAME=FILE.pub",
        help="a person and their public signing key, in place of FILE; may be repeated",
    )  # fmt: skip
    attest = verbs.add_parser(
        "attest", help="check that a key was made in hardware, and print it for the roster"
    )
    attest.add_argument("key", metavar="KEY.pub")
    attest.add_argument(
        "--attestation", metavar="FILE", required=True,
        help="what `ssh-keygen -O write-attestation=FILE` wrote",
    )  # fmt: skip
    attest.add_argument(
        "--challenge", metavar="FILE", required=True, help="what -O challenge=FILE was given"
    )
    attest.add_argument(
        "--maker", metavar="FILE", action="append", default=[],
        help="certificate of a maker of hardware keys, PEM or DER; may be repeated",
    )  # fmt: skip
    attest.add_argument("--id", default="key-1", help="name of the key in the roster")
    attest.set_defaults(run=trustverbs.attest)
