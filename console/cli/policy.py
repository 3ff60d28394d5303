"""``watchfloor policy``: what hosts allow, as a signed chain. ``roster`` is its sister."""

from typing import Any

from console.cli import trustverbs

ABOUT = """\
The policy says what each action needs, and what hosts declare (docs/guard-policy.md). Each one is
signed by people of the roster; the first is what you begin with.

  watchfloor policy init --mgmt 10.9.1.0/24
  watchfloor policy show --document > next.json     # edit next.json
  watchfloor policy propose next.json
  watchfloor policy sign policy-2.json
  watchfloor policy install policy-2.json

exit status: 0 done, 1 not verified or different, 2 usage or configuration
"""


def add(sub: Any) -> None:
    """Register the verb."""
    init, _ = trustverbs.add(sub, "policy", "show and change what hosts allow", ABOUT)
    init.add_argument(
        "--mgmt", default="", metavar="NETWORK,...",
        help="networks of the consoles, in place of FILE: a policy that declares nothing else",
    )  # fmt: skip
