"""What is closed or stopped while it begins, and what is ended twice, or hard to end: each caller is told the truth, and nothing is left.

A test that tells of a fault was seen to fail.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import Client, Live, RpcError, live, lives, slow_keeper


@pytest.fixture
def daemon() -> Iterator[Live]:
    """One whose log tells of no failure that nobody saw."""
    with live() as started:
        yield started
        log = started.log()
    assert "Traceback" not in log and "never retrieved" not in log, log


def begins(daemon: Live, name: str) -> None:
    """Returns when the session is there, though nothing runs in it yet."""
    while not any(session["name"] == name for session in daemon.call("session.list")):
        pass


def starts(daemon: Live, session: str) -> None:
    while not any(coprocess["state"] == "starting" for coprocess in daemon.call("coprocess.list", session=session)):
        pass


def refusal(client: Client, number: int) -> RpcError:
    with pytest.raises(RpcError) as refused:
        client.answer(number)
    return refused.value


def test_one_closed_while_it_starts_tells_its_creator_so_and_leaves_nothing(daemon: Live) -> None:
    """The creator got `resource_exhausted`: the record was written to memory already let go. The master stayed open for ever."""
    daemon.call("session.close", session=daemon.create("true"))
    before = daemon.descriptors()
    creator = Client(daemon.socket)
    held = daemon.descriptors()
    with slow_keeper(daemon):
        made = creator.send("session.create", argv=["sleep", "1000"], name="late", key="once")
        begins(daemon, "late")
        closed = daemon.client.send("session.close", session="late", grace_s=0.1)
        daemon.call("daemon.info")  # calls begin in the order of their lines
    error = refusal(creator, made)
    assert error.code == "session_exited" and "late was closed while it started" in str(error)
    answer = daemon.client.answer(closed)
    assert (answer["state"], answer["signal"]) == ("exited", "SIGHUP")
    assert not lives(daemon.client.event("session.created", session=answer["id"])["pid"])
    assert daemon.call("session.list") == [] and daemon.descriptors() == held
    again = creator.call("session.create", argv=["cat"], name="late", key="once")
    assert again["id"] != answer["id"]
    creator.call("session.close", session=again["id"])
    creator.close()
    while daemon.descriptors() != before:
        pass


def test_one_that_cannot_start_and_is_closed_meanwhile_is_told_to_both(daemon: Live, tmp_path: Path) -> None:
    program = tmp_path / "no-program"
    program.write_bytes(b"\x7fELF\0\0")
    program.chmod(0o755)
    creator = Client(daemon.socket)
    with slow_keeper(daemon):
        made = creator.send("session.create", argv=[str(program)], name="never")
        begins(daemon, "never")
        closed = daemon.client.send("session.close", session="never")
        daemon.call("daemon.info")
    assert refusal(creator, made).code == "spawn_failed"
    answer = daemon.client.answer(closed)
    assert (answer["state"], answer["pid"], answer["exit_status"]) == ("exited", None, None)
    creator.close()


def test_a_session_that_starts_is_not_said_to_have_exited(daemon: Live) -> None:
    """To type into it was `session_exited`, with exit status None."""
    creator = Client(daemon.socket)
    with slow_keeper(daemon):
        made = creator.send("session.create", argv=["cat"], name="soon")
        begins(daemon, "soon")
        with pytest.raises(RpcError) as refused:
            daemon.call("session.send_text", session="soon", text="x")
        assert refused.value.code == "session_busy"
    daemon.call("session.close", session=creator.answer(made)["id"])
    creator.close()


def test_one_whose_caller_hung_up_can_be_closed_while_it_starts(daemon: Live) -> None:
    creator = Client(daemon.socket)
    with slow_keeper(daemon):
        creator.send("session.create", argv=["sleep", "1000"], name="orphan", coprocess={"command": "cat"})
        begins(daemon, "orphan")
        creator.close()
        closed = daemon.client.send("session.close", session="orphan", grace_s=0.1)
        daemon.call("daemon.info")
    assert daemon.client.answer(closed)["state"] == "exited"
    assert daemon.call("session.list") == []


def test_a_coprocess_whose_session_is_closed_while_it_starts_is_told_so_and_ended(daemon: Live) -> None:
    """It was answered as running, or with an internal error."""
    session = daemon.create("cat")
    runner = Client(daemon.socket)
    with slow_keeper(daemon):
        run = runner.send("coprocess.run", session=session, command="exec sleep 1000", silent=True)
        starts(daemon, session)
        closed = daemon.client.send("session.close", session=session, grace_s=0.1)
        daemon.call("daemon.info")
        late = refusal(daemon.client, daemon.client.send("coprocess.run", session=session, command="true", input=False))
        assert late.code == "session_exited" and "is being closed" in str(late)
    error = refusal(runner, run)
    assert error.code == "session_exited" and "was closed while its coprocess started" in str(error)
    assert daemon.client.answer(closed)["state"] == "exited"
    ended = daemon.client.event("coprocess.ended", session=session)["coprocess"]
    assert ended["end_reason"] == "session_ended" and not lives(ended["pid"])
    runner.close()


def test_a_coprocess_stopped_while_it_starts_is_told_so(daemon: Live) -> None:
    """Its caller got one that ran, though it did not."""
    session = daemon.create("cat")
    runner = Client(daemon.socket)
    with slow_keeper(daemon):
        run = runner.send("coprocess.run", session=session, command="exec sleep 1000", silent=True)
        starts(daemon, session)
        stopped = daemon.client.send("coprocess.stop", session=session)
        daemon.call("daemon.info")
    error = refusal(runner, run)
    assert error.code == "no_coprocess" and "was stopped while it started" in str(error)
    assert daemon.client.answer(stopped) == {"stopped": True}
    assert daemon.call("coprocess.get", session=session)["end_reason"] == "stopped"
    assert runner.call("coprocess.run", session=session, command="cat >/dev/null")["state"] == "running"
    daemon.call("session.close", session=session)
    runner.close()


def test_a_session_is_made_though_its_coprocess_was_stopped_while_it_started(daemon: Live) -> None:
    creator = Client(daemon.socket)
    made = creator.send("session.create", argv=["cat"], name="made", coprocess={"command": "exec sleep 1000"})
    daemon.client.event("session.created", name="made")
    while True:
        try:
            daemon.call("coprocess.stop", session="made")
            break
        except RpcError as error:
            assert error.code == "no_coprocess"
    assert creator.answer(made)["state"] == "running"
    daemon.call("session.close", session="made")
    creator.close()


def test_the_grace_of_a_stop_is_not_cut_short_by_a_closed_stdout(tmp_path: Path) -> None:
    """Its end of file began a second end, with the grace of the settings: a patient stop killed after 2 s."""
    with live(close_grace_s=0.1, stdout_settle_s=0.1) as daemon:
        session = daemon.create("cat")
        os.mkfifo(tmp_path / "go")
        command = f"trap 'exec >&-; read x <{tmp_path}/go; exit 7' TERM; echo set >&2; while :; do sleep 0.05; done"
        daemon.call("coprocess.run", session=session, command=command)
        while not daemon.call("coprocess.get", session=session)["stderr"]:
            pass
        number = daemon.client.send("coprocess.stop", session=session, grace_s=1000)
        with open(tmp_path / "go", "w") as go:
            # On the daemon's clock: longer than a close of its own would wait.
            daemon.call("session.read", session=session, from_offset=daemon.call("session.get", session=session)["output_offset"], wait_s=1)
            go.write("now\n")
        assert daemon.client.answer(number) == {"stopped": True}
        assert daemon.call("coprocess.get", session=session)["exit_status"] == 7


def test_a_close_is_not_held_up_by_the_rest_of_a_group_that_was_stopped_patiently(daemon: Live) -> None:
    """Its process had ended, another of its group had not: the close waited for all of the stop's grace."""
    session = daemon.create("cat")
    command = "trap 'exit 0' TERM; sh -c 'trap \"\" TERM; echo $$ >&2; while :; do sleep 0.05; done' & while :; do sleep 0.05; done"
    daemon.call("coprocess.run", session=session, command=command)
    while not (told := daemon.call("coprocess.get", session=session)["stderr"]):
        pass
    assert daemon.call("coprocess.stop", session=session, grace_s=1000) == {"stopped": True}
    daemon.call("session.close", session=session, grace_s=0.1)
    while lives(int(told)):
        pass


def test_one_whose_grandchild_floods_its_stdout_ends_with_its_process(daemon: Live) -> None:
    """As long as the grandchild printed and the job read, it did not end; nor could it be stopped, nor its session be closed."""
    session = daemon.create(shell="stty raw -echo; echo ready; exec cat >/dev/null")
    daemon.output(session, b"ready")
    daemon.call("coprocess.run", session=session, command="yes & exec sleep 0.2")
    ended = daemon.ended(session)
    assert (ended["end_reason"], ended["exit_status"]) == ("exited", 0) and ended["typed_bytes"] > 0
    daemon.call("session.close", session=session)


def test_a_directory_and_arguments_that_are_no_utf8_are_shown_all_the_same(daemon: Live, tmp_path: Path) -> None:
    """One such job made `session.list` an internal error for everybody."""
    session = daemon.create(shell="d=$(printf 'x\\377'); mkdir -p $d; cd $d; echo in; exec sh -c 'read x; exit' $d", cwd=str(tmp_path))
    daemon.output(session, b"in")
    while (shown := daemon.call("session.list")[0])["foreground"]["argv"][-1] != "x\ufffd":
        pass
    assert shown["cwd"] == f"{tmp_path}/x\ufffd"
    daemon.call("coprocess.run", session=session, command="echo $PWD >&2")
    assert daemon.ended(session)["exit_status"] == 0
    assert daemon.call("session.close", session=session)["state"] == "exited"


def test_what_does_not_fit_into_the_record_is_refused_and_the_end_is_seen_all_the_same(daemon: Live) -> None:
    """A key that was refused counted: sent again it was a success, and nothing was typed. And a full record hid the job's end for ever."""
    pad = 4 << 20
    with pytest.raises(RpcError) as large:
        daemon.create("cat", labels={"pad": "x" * pad})
    takes, may_take = (int(number) for number in re.findall(r"\d{6,}", str(large.value)))
    session = daemon.create("cat", labels={"pad": "x" * (pad - (takes - may_take) - 60)})
    length, full = 4, "resource_exhausted"
    with pytest.raises(RpcError) as refused:
        while length < 100:
            daemon.call("session.rename", session=session, name="n" * length)
            length += 1
    assert refused.value.code == full and daemon.call("session.get", session=session)["name"] == "n" * (length - 1)
    for _ in range(2):
        with pytest.raises(RpcError) as refused:
            daemon.call("session.send_text", session=session, text="lost\n", key="again")
        assert refused.value.code == full
    daemon.call("session.send_keys", session=session, keys=["C-d"])
    daemon.client.event("session.exited", session=session)
    assert daemon.call("session.close", session=session)["exit_status"] == 0
