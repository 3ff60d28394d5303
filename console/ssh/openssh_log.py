"""Reads what the system's ``ssh`` says at LogLevel DEBUG1: facts, and why it failed.

The texts are those of OpenSSH 7.4 to 10 in the C locale. What is not recognised is shown as it
is, cleaned; it never counts as an authentication failure or a changed key by guess.
"""

import re

from console.errors import AuthError, ConnectError, HostKeyError, KeyFileError, WatchfloorError
from console.model.host import Host
from console.model.link import LinkFacts
from console.ssh.connect import POST_QUANTUM
from console.ssh.hostkeys import beside, next_step
from console.text import clean

KEPT_LINES = 40
LINE_LIMIT = 400

_KEX = re.compile(r"debug1: kex: algorithm: (\S+)")
_CIPHER = re.compile(r"debug1: kex: server->client cipher: (\S+) MAC: (\S+)")
_SERVER = re.compile(r"debug1: Remote protocol version (\S+), remote software version (.*)")
_HOST_KEY = re.compile(r"debug1: Server host (?:key|certificate): \S+ (SHA256:[A-Za-z0-9+/]+)")
_BY_CA = re.compile(r"debug1: Host '.*' is known and matches the \S+ host certificate")
_ACCEPTS = re.compile(r"debug1: Server accepts key: .*?(SHA256:[A-Za-z0-9+/]+)")
_INTERACTIVE = "debug1: Entering interactive session."

# Whole lines only: what a peer says stands inside a line of ssh's, and ssh escapes its line feeds.
_HOST_KEY_SIGNS = re.compile(
    r"Host key verification failed\."
    r"|@ *WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! *@"
    r"|No \S+ host key is known for \S+ and you have requested strict checking\."
    r"|Certificate invalid: .*"
)
_AUTH_SIGNS = re.compile(r"(?:\S+: )?Permission denied \([^()]*\)\.")
_TOO_MANY = re.compile(
    r"Received disconnect from \S+(?: port \d+)?:2: Too many authentication failures.*"
)
_KEY_FILE_SIGNS = re.compile(
    r"@ *WARNING: UNPROTECTED PRIVATE KEY FILE! *@|Load key \".*\": .*|no such identity: .*"
)
_PEERS_WORDS = re.compile(r"Received disconnect from \S+(?: port \d+)?:\d+: (.*)")
_PEERS_LINES = ("Received disconnect", "Disconnected")
_KEYED = "debug1: SSH2_MSG_NEWKEYS received"
_HOP_SIGNS = (
    ("open failed", "a jump host cannot reach it", "Check AllowTcpForwarding and the route there."),
    ("stdio forwarding failed", "a jump host cannot reach it", "Check AllowTcpForwarding there."),
)
_CONNECT_SIGNS = (
    ("Could not resolve hostname", "the address cannot be resolved", "Check the name and the DNS."),
    ("Connection refused", "nothing listens there", "Check the port, and that sshd runs."),
    ("No route to host", "no route to the host", "Check the network and jump hosts."),
    ("timed out", "the connection timed out", "Check the address, the port and the firewalls."),
    ("not responding", "the host stopped answering (keepalive)", ""),
    ("no matching", "no common algorithms", "Update the host's sshd."),
    ("Connection closed by", "the host closed the connection", "It may refuse logins for now."),
    ("Connection reset by", "the host reset the connection", "It may refuse logins for now."),
)


class SshLog:
    """The log of one ssh process, line by line."""

    def __init__(self, where: str, hops: tuple[str, ...], host: Host | None = None) -> None:
        """``host`` is what ssh connects to: its pins are named beside a key that it refused."""
        self._where = where
        self._host = host
        self._hops = hops
        self._plain: list[str] = []  # what is not debug output, newest last
        self._found: dict[str, str] = {}
        self._beside: list[str] = []  # a banner, which is the host's own text
        self._keyed = False  # what follows comes from the holder of the key that ssh accepted
        self._at_hop = False  # something went wrong before the host itself was reached
        self.interactive = False

    def line(self, text: str, *, hop: bool = False) -> None:
        """Take one line; ``hop``: of the ssh process that reaches a jump host."""
        text = text.rstrip("\r\n")
        if text.startswith(("debug2:", "debug3:")):
            return
        if hop and not self._hops:
            self._beside.append(clean(text, LINE_LIMIT))
            del self._beside[:-KEPT_LINES]
            return
        if not text.startswith("debug1:"):
            self._plain.append(clean(text, LINE_LIMIT))
            self._at_hop = self._at_hop or hop
            del self._plain[:-KEPT_LINES]
            return
        if text.startswith(_INTERACTIVE):
            self.interactive = True
        elif text.startswith(_KEYED):
            self._keyed = True
        elif found := _KEX.match(text):
            self._found["kex"] = found[1]
        elif found := _CIPHER.match(text):
            self._found["cipher"], self._found["mac"] = found[1], found[2]
        elif found := _SERVER.match(text):
            self._found["server"] = f"SSH-{found[1]}-{found[2]}"
        elif found := _HOST_KEY.match(text):
            self._found["host_key"] = found[1]
        elif found := _ACCEPTS.match(text):
            self._found["auth"] = found[1]
        elif _BY_CA.match(text):
            self._found["by"] = "ca"

    def facts(self) -> LinkFacts:
        """What was negotiated."""
        found = {key: clean(value, 120) for key, value in self._found.items()}
        kex = found.get("kex", "")
        return LinkFacts(
            transport="openssh",
            host_key=found.get("host_key", ""),
            host_key_by=found.get("by", "pin"),
            kex=kex,
            cipher=found.get("cipher", ""),
            mac="" if found.get("mac") == "<implicit>" else found.get("mac", ""),
            server=found.get("server", ""),
            auth=f"publickey {found['auth']}" if "auth" in found else "none",
            post_quantum=any(name in kex for name in POST_QUANTUM) if kex else None,
            jump=self._hops,
        )

    def reason(self) -> str:
        """The last line that says something, empty when there is none."""
        useful = [line for line in [*self._beside, *self._plain] if line.strip(" @\t")]
        return useful[-1] if useful else ""

    def error(self) -> WatchfloorError:
        """Why ssh ended without a session, or lost it."""
        error = self._error()
        if self._at_hop:
            error.message += f" (on the way, at {clean(', '.join(self._hops), 120)})"
        return error

    def _error(self) -> WatchfloorError:
        own = [line for line in self._plain if not line.startswith(_PEERS_LINES)]
        text = "\n".join(own)
        if any(_HOST_KEY_SIGNS.fullmatch(line) for line in own):
            return self._host_key_error(own)
        too_many = self._keyed and any(_TOO_MANY.fullmatch(line) for line in self._plain)
        if too_many or any(_AUTH_SIGNS.fullmatch(line) for line in own):
            return AuthError(
                f"the host did not accept a key: {self.reason()}",
                where=self._where,
                hint="Check user and key in the inventory and authorized_keys on the host.",
            )
        for sign, message, hint in _HOP_SIGNS if self._at_hop else ():
            if sign in text:
                return ConnectError(message, where=self._where, hint=hint)
        for sign, message, hint in _CONNECT_SIGNS:
            if sign in text:
                return ConnectError(message, where=self._where, hint=hint)
        if any(_KEY_FILE_SIGNS.fullmatch(line) for line in own):
            return KeyFileError(self.reason(), where=self._where)
        for line in self._plain:
            if found := _PEERS_WORDS.fullmatch(line):
                why = f'the host ended the connection and said "{found[1]}"'
                return ConnectError(why, where=self._where)
        said = self.reason()
        return ConnectError(f"ssh: {said}" if said else "ssh ended", where=self._where)

    def _host_key_error(self, own: list[str]) -> HostKeyError:
        offered = self._found.get("host_key", "")
        reason = "the host shows another key than the pinned one"
        for line in own:
            if line.startswith("Certificate invalid:"):
                detail = line.split(":", 1)[-1].strip()
                reason = f"the host's certificate is refused: {detail}"
        # Which of several hops showed the key is not known here: then nothing is named beside it.
        known = self._host if not self._at_hop else None
        shown = f": offered {offered}" if offered else ""
        return HostKeyError(
            reason + (beside(offered, known) if known else shown),
            where=self._where,
            hint=next_step(known.name if known else "HOST"),
            offered=offered,
        )
