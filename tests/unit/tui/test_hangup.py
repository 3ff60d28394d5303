"""Whether a terminal is still there."""

import os
import pty

from console.tui.hangup import gone


def test_a_closed_terminal_is_gone_and_a_silent_one_is_not() -> None:
    master, slave = pty.openpty()
    try:
        assert not gone(slave)
        os.write(master, b"typed")
        assert not gone(slave), "there is something to read"
        os.close(master)
        assert gone(slave)
    finally:
        os.close(slave)


def test_a_number_that_is_no_file_is_gone() -> None:
    read, write = os.pipe()
    os.close(read)
    os.close(write)
    assert gone(read)
