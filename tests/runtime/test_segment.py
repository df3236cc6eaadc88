"""What Intake and Feed stand on: segments, pipes, a terminal's line, and an output log that another daemon takes over."""

from __future__ import annotations

import contextlib
import fcntl
import os

import pytest
from support.movements import (
    SCHEMA,
    make_intake,
    make_pipe,
    make_ring,
)

from coprocd.core.canonical import LINE_MOST
from coprocd.platform import pipes
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime import intake as intake_module
from coprocd.runtime.intake import Intake
from coprocd.runtime.output_log import OutputLog
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment


def test_a_segment_is_found_again_by_its_descriptor(platform: str, stack: contextlib.ExitStack) -> None:
    segment = Segment.create("coprocd-test", PAGE, 100, SCHEMA)
    segment.slots[RESERVED_SLOTS] = 2**64 - 1
    os.pwrite(segment.fd, b"bytes", PAGE)
    fd = os.dup(segment.fd)
    segment.close()
    segment.close()
    again = Segment.open(fd, PAGE, SCHEMA)
    stack.callback(again.close)
    assert again.slots[RESERVED_SLOTS] == 2**64 - 1
    assert os.pread(again.fd, 5, PAGE) == b"bytes"


def test_a_segment_of_another_layout_is_refused_and_closed(platform: str, stack: contextlib.ExitStack) -> None:
    segment = Segment.create("coprocd-test", PAGE, 0, SCHEMA + 1)
    stack.callback(segment.close)
    with pytest.raises(CoprocdError) as caught:
        Segment.open(os.dup(segment.fd), PAGE, SCHEMA)
    assert caught.value.code == "version_mismatch"


def test_an_intake_of_another_layout_is_refused(stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = make_intake(stack)
    monkeypatch.setattr(intake_module, "SCHEMA", intake_module.SCHEMA + 1)
    with pytest.raises(CoprocdError) as caught:
        Intake.open(os.dup(intake.segment.fd), intake.pipe)
    assert caught.value.code == "version_mismatch"


def test_an_empty_ring_takes_no_memory(stack: contextlib.ExitStack) -> None:
    segment, into = make_ring(stack, capacity=64 << 20)
    assert os.fstat(segment.fd).st_blocks * 512 <= 2 * PAGE
    into.write(b"x")
    assert os.fstat(segment.fd).st_blocks * 512 <= 3 * PAGE


def test_a_private_pipe_never_blocks_and_is_not_inherited(stack: contextlib.ExitStack) -> None:
    for fd in make_pipe(stack):
        assert not os.get_blocking(fd)
        assert not os.get_inheritable(fd)


def test_what_stands_in_a_pipe_is_counted(stack: contextlib.ExitStack) -> None:
    reader, writer = make_pipe(stack)
    assert pipes.unread(reader) == 0
    os.write(writer, b"x" * 12_345)
    assert pipes.unread(reader) == 12_345
    nothing = os.open(os.devnull, os.O_RDONLY)
    stack.callback(os.close, nothing)
    assert pipes.unread(nothing) == 0


def test_an_output_log_is_taken_over_at_its_exact_byte_with_modes_and_silence(platform: str, stack: contextlib.ExitStack) -> None:
    log = OutputLog.create("0123", 1000)
    log.write(b"x" * 990 + b"\x1b[?2004h$ \x1b[?1h")
    log.silence.open(1000, log.retained_from)
    assert log.modes().bracketed_paste
    epoch, fd = log.epoch, os.dup(log.segment.fd)
    log.close()
    again = OutputLog.open(fd)
    stack.callback(again.close)
    assert (again.epoch, again.end, again.retained_from) == (epoch, 1005, 5)
    assert again.read(998, 7) == b"$ \x1b[?1h"
    assert (again.modes().bracketed_paste, again.modes().application_cursor) == (True, True)
    assert again.silence.opened_at == 1000


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="another system's terminal")
def test_a_terminal_that_collects_lines_takes_as_many_bytes_as_we_say_and_cuts_one_more(stack: contextlib.ExitStack) -> None:
    for size, arrives in ((LINE_MOST, LINE_MOST), (LINE_MOST + 1, LINE_MOST)):
        master, terminal = os.openpty()
        stack.callback(os.close, master)
        stack.callback(os.close, terminal)
        os.write(master, b"x" * size + b"\n")
        assert os.read(terminal, 65536) == b"x" * arrives + b"\n"
