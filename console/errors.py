"""Every error that a person may be shown.

    WatchfloorError
      - UsageError            the command line is wrong                         exit 2
      - ConfigError           a configuration file or inventory is wrong        exit 2
      - LinkError             one host cannot be reached or spoken with         exit 1
          - ConnectError      no route, refused, timed out, name unknown; retried
          - AuthError         the host did not accept our key; stops after two
          - HostKeyError      the host showed another key than the pinned one; never retried
          - ProbeError        connected, but no probe answers (no python3, denied by shell, ...)
          - ProtocolError     the probe sent something outside the frame protocol
      - KeyFileError          a private key is missing, too open, or cannot be decrypted
      - StoreError            the local database cannot be read or written
      - PluginError           a plugin's folder, manifest or pin is wrong, or it stopped
      - ActionError           a guarded action may not or cannot be asked for, signed or sent

An error says what happened (``message``), where (``where``: a file and key, or a host) and what
to do next (``hint``). It never carries a secret, and nothing in it is markup.
"""


class WatchfloorError(Exception):
    """Base of all errors that are told to a person."""

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}. {self.hint}" if self.hint else head


class UsageError(WatchfloorError):
    """The command line asks for something that does not exist."""

    exit_code = 2


class ConfigError(WatchfloorError):
    """A configuration file, an inventory or a value in it is wrong."""

    exit_code = 2


class LinkError(WatchfloorError):
    """One host cannot be reached or spoken with."""


class ConnectError(LinkError):
    """The TCP or SSH connection could not be made, or was lost."""


class AuthError(LinkError):
    """The host did not accept our credentials."""


class HostKeyError(LinkError):
    """The host's key is not the one in the inventory.

    ``offered`` is the fingerprint that was shown (``SHA256:...``), empty when unknown.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "", offered: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.offered = offered


class ProbeError(LinkError):
    """The connection stands, but the probe did not start or ended."""


class ProtocolError(LinkError):
    """The probe sent something that the frame protocol does not allow."""


class KeyFileError(WatchfloorError):
    """A private key file is missing, readable by others, or cannot be decrypted."""

    exit_code = 2


class StoreError(WatchfloorError):
    """The local database cannot be read or written."""


class PluginError(WatchfloorError):
    """A plugin cannot be read, is not the one that was pinned, or stopped."""


class ActionError(WatchfloorError):
    """A guarded action may not, or cannot, be asked for, signed or sent.

    ``rule`` is a short fixed name of what forbids it.
    """

    def __init__(self, message: str, *, where: str = "", hint: str = "", rule: str = "") -> None:
        super().__init__(message, where=where, hint=hint)
        self.rule = rule
