"""A coprocess's stdin is an exact run of what the session prints: no gap, no repeat, from a place that is chosen.

Seen to fail on a naive build: one that subscribes after the spawn loses `ready`, one that decodes loses bytes past 0x7f.
"""

from __future__ import annotations

from support.daemon import PYTHON, Daemon

from sources import NUMBERS, RANDOM_BLOCKS, random_blocks, sha256

COPY = [*PYTHON, "import sys; sys.stderr.write(repr(sys.stdin.buffer.read()))"]
"""A coprocess that tells on stderr, in Python's words, what it read."""


def test_a_coprocess_and_observers_read_16_mib_of_every_byte_value_exactly(daemon: Daemon) -> None:
    printed = random_blocks(256)
    session = daemon.python(RANDOM_BLOCKS, "256", coprocess={"command": "sha256sum >&2"})
    daemon.output(session, b"ready")
    observers = [daemon.coprocess(session, "sha256sum >&2", input=False, from_=n) for n in (0, 5)]
    daemon.call("session.send_text", session=session, text="g")
    daemon.exited(session)
    typing = daemon.ended(daemon.call("coprocess.get", session=session))
    wanted = sha256(b"ready" + printed)
    assert typing["stderr"].split() == [wanted, "-"]
    assert (typing["exit_status"], typing["end_reason"]) == (0, "session_ended")
    assert typing["consumed_offset"] == 5 + len(printed)
    assert typing["undelivered_bytes"] == 0
    assert [daemon.ended(observer)["stderr"].split()[0] for observer in observers] == [wanted, sha256(printed)]


def test_a_session_that_prints_and_exits_at_once_loses_nothing(daemon: Daemon) -> None:
    for count in (0, 1, 300):
        code = f"import sys, tty; tty.setraw(0); sys.stdout.buffer.write(bytes(range(256)) * {count})"
        session = daemon.python(code, coprocess={"command": "sha256sum >&2"})
        ended = daemon.ended(daemon.call("coprocess.get", session=session))
        wanted = bytes(range(256)) * count
        assert ended["stderr"].split()[0] == sha256(wanted)
        assert daemon.output(session) == wanted


def test_from_now_a_coprocess_reads_what_comes_and_not_what_was(daemon: Daemon) -> None:
    session = daemon.create("cat")
    daemon.call("session.send_text", session=session, text="before", enter=True)
    daemon.output(session, b"before\r\nbefore\r\n")
    coprocess = daemon.coprocess(session, argv=COPY, input=False)
    assert coprocess["started_offset"] == len(b"before\r\nbefore\r\n")
    daemon.call("session.send_text", session=session, text="after", enter=True)
    daemon.output(session, b"after\r\nafter\r\n")
    daemon.call("session.send_keys", session=session, keys=["C-d"])
    assert daemon.ended(coprocess)["stderr"] == repr(b"after\r\nafter\r\n")


def test_from_line_a_coprocess_reads_the_unfinished_line(daemon: Daemon) -> None:
    session = daemon.create(shell="printf 'one\\ntwo\\nlast: '; read a")
    daemon.output(session, b"last: ")
    coprocess = daemon.coprocess(session, argv=COPY, input=False, from_="line")
    assert coprocess["started_offset"] == len(b"one\r\ntwo\r\n")
    daemon.call("session.send_text", session=session, text="x", enter=True)
    assert daemon.ended(coprocess)["stderr"] == repr(b"last: x\r\n")


def test_from_line_at_a_finished_line_reads_what_comes(daemon: Daemon) -> None:
    session = daemon.create(shell="stty -echo; echo one; read a; echo two")
    daemon.output(session, b"one\r\n")
    coprocess = daemon.coprocess(session, argv=COPY, input=False, from_="line")
    daemon.call("session.send_text", session=session, text="x", enter=True)
    assert daemon.ended(coprocess)["stderr"] == repr(b"two\r\n")


def test_from_an_offset_a_coprocess_reads_from_there(daemon: Daemon) -> None:
    session = daemon.create(shell="stty -echo; echo 0123456789; read a; echo more")
    daemon.output(session, b"9\r\n")
    coprocesses = [daemon.coprocess(session, argv=COPY, input=False, from_=offset) for offset in (0, 4, 12)]
    daemon.call("session.send_text", session=session, text="x", enter=True)
    whole = b"0123456789\r\nmore\r\n"
    assert [daemon.ended(c)["stderr"] for c in coprocesses] == [repr(whole), repr(whole[4:]), repr(whole[12:])]


def test_an_offset_that_is_not_retained_is_refused(daemon: Daemon) -> None:
    session = daemon.python(NUMBERS, "16384", log_bytes=65536)
    daemon.output(session, b"ready")
    daemon.call("session.send_text", session=session, text="g")
    daemon.exited(session)
    session = daemon.create(shell=f"head -c 300000 /dev/zero; echo; read a", log_bytes=65536)
    daemon.wait("session.created", session)
    seen = daemon.call("session.read", session=session, from_offset=300001, wait_s=60) if False else None
    assert seen is None
    while daemon.session(session)["output_offset"] < 300002:
        daemon.call("session.read", session=session, from_offset=daemon.session(session)["output_offset"], wait_s=60)
    refused = daemon.refused("coprocess.run", session=session, command="cat", from_=0)
    assert refused.code == "offset_lost"
    assert refused.data["retained_from"] == daemon.session(session)["retained_from"] == 300002 - 65536
    refused = daemon.refused("coprocess.run", session=session, command="cat", from_=300003)
    assert refused.code == "invalid_params"
    assert daemon.coprocess(session, "true", from_=300002 - 65536)["started_offset"] == 300002 - 65536


def test_from_question_a_coprocess_reads_the_line_that_the_job_asks_with(daemon: Daemon) -> None:
    session = daemon.create(shell="echo hello; printf 'Password: '; read a; echo got $a")
    daemon.output(session, b"Password: ")
    while daemon.session(session)["activity"] != "awaiting_input":
        pass
    coprocess = daemon.coprocess(session, argv=COPY, input=False, from_="question")
    assert coprocess["started_offset"] == len(b"hello\r\n")
    daemon.call("session.send_text", session=session, text="x", enter=True)
    assert daemon.ended(coprocess)["stderr"] == repr(b"Password: x\r\ngot x\r\n")


def test_from_question_reads_what_comes_where_the_job_asks_nothing(daemon: Daemon) -> None:
    session = daemon.create(shell="echo hello; exec sleep 1000")
    daemon.output(session, b"hello\r\n")
    assert daemon.coprocess(session, "cat", from_="question")["started_offset"] == len(b"hello\r\n")


def test_observers_have_no_limit_and_all_read_the_same(daemon: Daemon) -> None:
    session = daemon.python(NUMBERS, "4096", coprocess={"command": "sha256sum >&2"})
    daemon.output(session, b"ready")
    observers = [daemon.coprocess(session, "sha256sum >&2", input=False, from_=0, name=f"o{n}") for n in range(20)]
    assert daemon.session(session)["observers"] == 20
    daemon.call("session.send_text", session=session, text="g")
    wanted = sha256(b"ready" + b"".join(b"%015d\n" % n for n in range(4096)))
    assert {daemon.ended(observer)["stderr"].split()[0] for observer in observers} == {wanted}
    assert len(daemon.call("coprocess.list", session=session)) >= 8


def test_an_observer_types_nothing(daemon: Daemon) -> None:
    session = daemon.create(shell="stty -echo; echo ready; read a; echo got $a")
    daemon.output(session, b"ready")
    ended = daemon.ended(daemon.coprocess(session, "echo typed", input=False))
    assert (ended["typed_bytes"], ended["exit_status"]) == (0, 0)
    daemon.call("session.send_text", session=session, text="mine", enter=True)
    assert daemon.output(session) == b"ready\r\ngot mine\r\n"


def test_one_that_closes_its_stdin_still_types_and_holds_nothing_up(daemon: Daemon) -> None:
    session = daemon.create(shell="stty raw -echo; printf ready; dd bs=1 count=1 2>/dev/null; head -c 8000000 /dev/zero; head -c 4; printf end")
    daemon.output(session, b"ready")
    coprocess = daemon.coprocess(session, "exec <&-; echo closed >&2; printf g; printf back; sleep 1000")
    offset = daemon.session(session)["output_offset"]
    seen = daemon.wait("input", session)
    assert seen["origin"].startswith("coprocess")
    while True:
        read = daemon.call("session.read", session=session, from_offset=offset, wait_s=60, format="text")
        offset = read["next_offset"]
        if read["text"].endswith("backend"):
            break
    assert daemon.call("coprocess.get", session=session)["typed_bytes"] == 5
    daemon.exited(session)
    assert daemon.ended(coprocess)["end_reason"] == "session_ended"
