"""Acknowledging what comes at once: sshd sends in small pieces, and each waits for the one before.

Linux holds an acknowledgement back for 40 ms where it expects to send something with it. On a
connection on which somebody waits for one answer, that is a third of the time until it is there.
"""

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncssh

OPTION: int | None = getattr(socket, "TCP_QUICKACK", None)


def acknowledge_at_once(connection: "asyncssh.SSHClientConnection") -> None:
    """Do so from now on. Nothing happens through a jump host, or where it is not Linux.

    The kernel forgets the option whenever something is sent, so it is set anew after every read.
    """
    sock: Any = connection.get_extra_info("socket")
    if OPTION is None or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    received = connection.data_received

    def set_anew() -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, OPTION, 1)
        except OSError:
            return  # it has ended

    def data_received(data: bytes, datatype: int | None = None) -> None:
        received(data, datatype)
        set_anew()

    connection.data_received = data_received  # type: ignore[method-assign]
    set_anew()
