"""The daemon is killed at each named point of what it does: all is there afterwards, or nothing, and no trace of the rest.

Each point is put into a running daemon from outside (`support/faulty.py`); the product has no code for it. `left` says what stands
at that instant. After each, the same call made again succeeds, and when its session is closed daemon and keeper hold what they held before.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.crash_connection_journeys import Connect, Disconnect
from support.crash_journeys import (
    Close,
    Create,
    EndCommand,
    Exit,
    Journey,
    Print,
    Recover,
    Rename,
    Resize,
    Restart,
    RunCommand,
    RunCoprocess,
    Stop,
    Type,
    TypeByCoprocess,
)
from support.crash_trigger_journeys import PassOver, RecoverTrigger, Trigger
from support.faulty import await_remains, await_true, environment, give, remains
from support.live import Live, live, lives


@dataclass(frozen=True)
class Point:
    journey: type[Journey]
    where: str
    """MODULE:QUALNAME before|after N; modules of coprocd without that name."""
    left: str

    def __str__(self) -> str:
        return f"{self.journey.__name__}: {self.where}"


POINTS = [
    Point(Create, "runtime.session_state:SessionState.create after 1", "memory that nobody else holds: it goes with the daemon"),
    Point(Create, "runtime.record:Record.write after 1", "the same, with a record in it"),
    Point(Create, "keeper.link:Link._send after 1", "a job that the keeper is asked to start; nobody reads the answer"),
    Point(Create, "keeper.client:KeeperClient.spawn after 1", "a job, held with its memory; the record does not know it"),
    Point(Create, "runtime.record:Record.write before 2", "the same"),
    Point(Create, "runtime.record:Record.write after 2", "a session without the coprocess that was to see its first byte"),
    Point(Create, "runtime.coprocess_state:CoprocessState.create after 1", "the same, with memory of a coprocess that nobody else holds"),
    Point(Create, "keeper.link:Link._send after 2", "a coprocess that the keeper is asked to start; nobody reads the answer"),
    Point(Create, "keeper.client:KeeperClient.spawn after 2", "both run; the coprocess's record says that it starts"),
    Point(Create, "runtime.coprocess:Coprocess._connect after 1", "both run and are connected"),
    Point(Create, "api.envelope:success before 1", "all is done; nobody was told"),
    Point(RunCoprocess, "core.silence:Silence.open after 1", "a silent range that no coprocess has"),
    Point(RunCoprocess, "runtime.record:Record.write after 1", "the same, and memory that nobody else holds"),
    Point(RunCoprocess, "keeper.link:Link._send after 1", "a coprocess that the keeper is asked to start; nobody reads the answer"),
    Point(RunCoprocess, "keeper.client:KeeperClient.spawn after 1", "it runs; its record says that it starts"),
    Point(RunCoprocess, "runtime.record:Record.write after 2", "it runs, its record says so, and it was fed nothing"),
    Point(RunCoprocess, "runtime.feed:Feed.connect after 1", "it was fed what there was"),
    Point(Print, "os:splice after 1", "a chunk in the intake's pipe, not promised"),
    Point(Print, "core.ring:Ring.promise after 1", "a chunk in the intake's pipe, promised"),
    Point(Print, "os:splice after 2", "a chunk in the log, not kept"),
    Point(Print, "core.ring:Ring.keep before 3", "the same"),
    Point(Print, "core.ring:Ring.keep after 3", "a chunk kept, that nobody was fed"),
    Point(Print, "core.ring:FeedPosition.promise after 1", "a promise to a reader, its private pipe empty"),
    Point(Print, "core.ring:FeedPosition.keep before 1", "a chunk in a reader's private pipe, not counted as his"),
    Point(Print, "core.ring:FeedPosition.keep after 1", "a chunk in a reader's private pipe"),
    Point(Print, "runtime.feed:Feed._move after 1", "the coprocess has a chunk, the observer does not"),
    Point(Print, "runtime.feed:Feed._move after 6", "both have it"),
    Point(Type, "runtime.typing:Typing.type before 1", "nothing"),
    Point(Type, "runtime.record:Record.write after 1", "a key whose bytes were not accepted"),
    Point(Type, "runtime.ring_file:RingFile.write before 1", "the same"),
    Point(Type, "core.ring:Ring.append before 1", "bytes in the ring, not accepted"),
    Point(Type, "core.ring:Ring.append after 1", "accepted; nothing typed"),
    Point(Type, "core.ring:FeedPosition.promise after 1", "a promise to the terminal, the private pipe empty"),
    Point(Type, "core.ring:FeedPosition.keep before 1", "bytes in the private pipe, not counted as the terminal's"),
    Point(Type, "core.ring:FeedPosition.keep after 2", "a part typed, a part in the private pipe"),
    Point(Type, "api.envelope:success before 1", "all is typed; nobody was told"),
    Point(TypeByCoprocess, "runtime.coprocess_state:CoprocessState.begin_typing after 1", "a chunk about to be moved"),
    Point(TypeByCoprocess, "os:splice after 1", "a chunk in the intake's pipe"),
    Point(TypeByCoprocess, "core.ring:Ring.keep before 1", "a chunk in the input ring, not kept"),
    Point(TypeByCoprocess, "runtime.coprocess_state:CoprocessState.count_typed before 1", "a chunk accepted, not counted as typed"),
    Point(TypeByCoprocess, "runtime.coprocess_state:CoprocessState.count_typed after 3", "three are counted"),
    Point(TypeByCoprocess, "core.ring:Ring.keep after 2", "a chunk of stdout and one of stderr kept"),
    Point(Exit, "runtime.session:Session.on_exit before 1", "a job that has ended, and output in the terminal"),
    Point(Exit, "runtime.pump:Pump.drain after 1", "the same, its status seen"),
    Point(Exit, "runtime.record:Record.write before 1", "all output in the log; the record says that it runs"),
    Point(Exit, "runtime.record:Record.write after 1", "the record says that it has exited, not that all output is there"),
    Point(Exit, "runtime.record:Record.write after 2", "the record says all; the terminal is still held"),
    Point(Exit, "runtime.session:Session.hang_up after 1", "the keeper alone holds the terminal"),
    Point(Exit, "keeper.client:KeeperClient.drop after 1", "the terminal is gone; the job's pid is still taken"),
    Point(Exit, "keeper.client:KeeperClient.reap after 1", "the job is gone; its coprocess waits for the end of its input"),
    Point(Exit, "runtime.coprocess:Coprocess._note_consumed after 1", "all is delivered, and noted in memory alone"),
    Point(Exit, "runtime.streams:Streams.close_stdin after 1", "the keeper alone holds the coprocess's stdin"),
    Point(Exit, "keeper.client:KeeperClient.drop after 2", "the coprocess has its end of file"),
    Point(Exit, "runtime.coprocess:Coprocess.on_exit before 1", "it has ended; nobody has noted how"),
    Point(Exit, "core.silence:Silence.close after 1", "silence is closed; the record says that it runs"),
    Point(Exit, "runtime.record:Record.write after 4", "the record says that it has ended; its pipes and its pid are still held"),
    Point(Exit, "keeper.client:KeeperClient.reap after 2", "all is done"),
    Point(Stop, "runtime.record:Record.write after 1", "a coprocess that is to be ended"),
    Point(Stop, "keeper.client:KeeperClient.signal after 1", "it was asked to end"),
    Point(Stop, "core.silence:Silence.close after 1", "silence is closed; the record says that it runs"),
    Point(Stop, "runtime.record:Record.write after 2", "the record says that it has ended; the rest of its group lives"),
    Point(Stop, "keeper.client:KeeperClient.drop after 1", "its pipes are gone"),
    Point(Stop, "keeper.client:KeeperClient.reap after 1", "all is done; nobody was told"),
    Point(Close, "keeper.client:KeeperClient.signal after 1", "a job that was hung up"),
    Point(Close, "runtime.session:Session.forget before 1", "all has ended; nothing is dropped"),
    Point(Close, "runtime.session_state:SessionState.close after 1", "this daemon has let go of the session's memory"),
    Point(Close, "keeper.client:KeeperClient.drop after 4", "the keeper has let go of a part"),
    Point(Close, "keeper.client:KeeperClient.drop after 5", "the keeper has let go of all"),
    Point(Connect, "core.silence:Silence.open after 1", "a silent range that no coprocess has"),
    Point(Connect, "runtime.record:Record.write after 1", "the same, and memory that nobody else holds"),
    Point(Connect, "keeper.client:KeeperClient.hold after 1", "its record is held, and says that it starts"),
    Point(Connect, "runtime.record:Record.write after 2", "its record says that it runs, and it was fed nothing"),
    Point(Connect, "runtime.feed:Feed.connect after 1", "what there was is in a pipe that goes with the daemon"),
    Point(Disconnect, "runtime.partner:Remote.ended before 1", "a connection that is closed; nobody has noted it"),
    Point(Disconnect, "runtime.record:Record.write after 1", "its record says why it ends"),
    Point(Disconnect, "core.silence:Silence.close after 1", "silence is closed; the record says that it runs"),
    Point(Disconnect, "runtime.record:Record.write after 2", "the record says that it has ended; its private pipe is still held"),
    Point(Disconnect, "keeper.client:KeeperClient.drop after 1", "all is done"),
    Point(RunCommand, "runtime.command_state:CommandState.create after 1", "memory of a command that nobody else holds"),
    Point(RunCommand, "runtime.record:Record.write after 1", "the same, with a record in it"),
    Point(RunCommand, "keeper.link:Link._send after 1", "a command that the keeper is asked to start; nobody reads the answer"),
    Point(RunCommand, "keeper.client:KeeperClient.spawn after 1", "it runs; its record does not know its process"),
    Point(RunCommand, "runtime.command:Command._connect after 1", "it runs and is connected; nobody was told"),
    Point(EndCommand, "os:splice after 1", "a chunk of its output in the intake's pipe"),
    Point(EndCommand, "core.ring:Ring.keep after 1", "the beginning of its output kept"),
    Point(EndCommand, "core.ring:Ring.keep before 3", "a chunk of its output written, not kept"),
    Point(EndCommand, "runtime.command:Command.on_exit before 1", "it has ended; nobody has noted how"),
    Point(EndCommand, "runtime.record:Record.write before 1", "its end is told; the record says that it runs"),
    Point(EndCommand, "runtime.record:Record.write after 1", "the record says that it has ended; pipe and pid are still held"),
    Point(EndCommand, "runtime.command_state:CommandState.close after 1", "this daemon has let go of its memory"),
    Point(EndCommand, "keeper.client:KeeperClient.reap after 1", "its pid is free; the rest is still held"),
    Point(EndCommand, "keeper.client:KeeperClient.drop after 1", "all is done"),
    Point(Resize, "platform.terminal:resize after 1", "the terminal has a size, the record another"),
    Point(Resize, "runtime.record:Record.write after 1", "both have the new one"),
    Point(Rename, "runtime.record:Record.write before 1", "a name in memory alone"),
    Point(Rename, "runtime.record:Record.write after 1", "the new name; the keeper's register has the old one"),
    Point(Restart, "api.listener:Listener.close before 1", "all; calls in progress"),
    Point(Restart, "keeper.client:KeeperClient.close before 1", "all; no connection"),
    Point(Restart, "api.claim:Claim.release after 1", "all; nobody has the lock"),
    Point(Recover, "api.claim:claim_socket after 1", "all as it was: nothing has been touched"),
    Point(Recover, "runtime.session_state:SessionState.open after 1", "the same"),
    Point(Recover, "runtime.intake:Intake.recover before 1", "the same"),
    Point(Recover, "core.ring:Ring.recover after 1", "a promise for what the intake's pipe holds"),
    Point(Recover, "runtime.intake:Intake.recover after 1", "the movement of before is complete"),
    Point(Recover, "runtime.session:Session.resume after 1", "the session goes on, its coprocesses do not"),
    Point(Recover, "runtime.sessions:Sessions.recover after 1", "all goes on; nobody is served"),
    Point(Recover, "api.listener:Listener.start after 1", "clients are served; the keeper was not told"),
    Point(Trigger, "runtime.triggers:Triggers.pump before 1", "output that was not matched"),
    Point(Trigger, "runtime.marks:Marks.add after 1", "the same: a mark in memory alone"),
    Point(Trigger, "runtime.trigger_state:TriggerState.intend after 1", "the same"),
    Point(Trigger, "runtime.coprocesses:Coprocesses.open before 1", "the same"),
    Point(Trigger, "core.silence:Silence.open after 1", "the same, and a silent range that no coprocess has"),
    Point(Trigger, "runtime.coprocesses:Coprocesses.open after 1", "the same"),
    Point(Trigger, "runtime.trigger_state:TriggerState.save before 1", "the same"),
    Point(Trigger, "runtime.record:Record.write before 1", "the same"),
    Point(Trigger, "runtime.record:Record.write after 1", "the mark and what is to be done; the slots say that nothing was matched"),
    Point(Trigger, "runtime.trigger_state:TriggerState.note before 1", "the same"),
    Point(Trigger, "runtime.trigger_state:TriggerState.note after 1", "the mark and what is to be done"),
    Point(Trigger, "runtime.trigger_state:TriggerState.save after 1", "the same"),
    Point(Trigger, "runtime.typing:Typing.type before 2", "the same"),
    Point(Trigger, "runtime.record:Record.write after 2", "the same, and the key of what was not typed"),
    Point(Trigger, "core.ring:Ring.append before 2", "the same, its bytes in the ring, not accepted"),
    Point(Trigger, "core.ring:Ring.append after 2", "text that is typed; the coprocess is not begun"),
    Point(Trigger, "runtime.typing:Typing.type after 2", "the same"),
    Point(Trigger, "runtime.trigger_state:TriggerState.forget after 1", "the same"),
    Point(Trigger, "runtime.coprocesses:Coprocesses.spawn before 1", "the same"),
    Point(Trigger, "runtime.coprocess_state:CoprocessState.save after 1", "the same, and a coprocess's memory that nobody else holds"),
    Point(Trigger, "keeper.link:Link._send after 1", "a coprocess that the keeper is asked to start; nobody reads the answer"),
    Point(Trigger, "keeper.client:KeeperClient.spawn after 1", "it runs; it is still to be done"),
    Point(Trigger, "runtime.coprocess:Coprocess._connect after 1", "the same, and it was fed"),
    Point(Trigger, "runtime.coprocesses:Coprocesses.spawn after 1", "the same"),
    Point(Trigger, "runtime.trigger_state:TriggerState.forget after 2", "the same"),
    Point(Trigger, "runtime.trigger_state:TriggerState.save after 2", "all is done"),
    Point(PassOver, "runtime.triggers:Triggers.pump before 1", "output that was not matched"),
    Point(PassOver, "runtime.trigger_state:TriggerState.note before 1", "output that was matched; the slots say that it was not"),
    Point(PassOver, "runtime.trigger_state:TriggerState.note after 1", "output that was matched"),
    Point(RecoverTrigger, "runtime.triggers:Triggers.resume before 1", "the mark and what is to be done"),
    Point(RecoverTrigger, "runtime.actions:Actions.recover before 1", "the same"),
    Point(RecoverTrigger, "runtime.typing:Typing.type after 1", "text that is typed, and is still to be done"),
    Point(RecoverTrigger, "runtime.actions:Actions.recover after 1", "the same"),
    Point(RecoverTrigger, "core.silence:Silence.open after 1", "a silent range that no coprocess has"),
    Point(RecoverTrigger, "runtime.coprocesses:Coprocesses.open after 1", "the same"),
    Point(RecoverTrigger, "runtime.triggers:Triggers.resume after 1", "the same"),
    Point(RecoverTrigger, "keeper.link:Link._send after 1", "a daemon that has connected and nothing else"),
    Point(RecoverTrigger, "keeper.client:KeeperClient.spawn after 1", "a coprocess that runs, and is still to be done"),
    Point(RecoverTrigger, "runtime.trigger_state:TriggerState.forget after 2", "the same"),
    Point(RecoverTrigger, "runtime.trigger_state:TriggerState.save after 1", "all is done"),
]


IN_KEEPER = [
    Point(Create, "keeper.spawn:on_pty before 1", "nothing"),
    Point(Create, "keeper.spawn:on_pty after 1", "a job that stands in the register and that nobody holds"),
    Point(Create, "keeper.holdings:Holdings.started before 1", "the same, its memory held"),
    Point(Create, "keeper.holdings:Holdings.started after 1", "a job, held by nobody else"),
    Point(Create, "keeper.process:Keeper.send before 1", "the same; the daemon does not know it"),
    Point(Create, "keeper.process:Keeper.send after 1", "the daemon has it, perhaps"),
    Point(Create, "keeper.spawn:on_pipes before 1", "a session without the coprocess that was to see its first byte"),
    Point(Create, "keeper.spawn:on_pipes after 1", "the same, and a coprocess that nobody holds"),
    Point(Stop, "keeper.holdings:Holdings.signal after 1", "a coprocess that was asked to end; the daemon does not know it"),
    Point(Stop, "keeper.holdings:Holdings.drop after 1", "its pipes are closed here"),
    Point(Stop, "keeper.holdings:Holdings.reap after 1", "its pid is free; the daemon does not know it"),
    Point(RunCommand, "keeper.spawn:on_pipes after 1", "a command that nobody holds"),
    Point(RunCommand, "keeper.process:Keeper.send before 1", "a command that is held; the daemon does not know it"),
    Point(EndCommand, "keeper.process:Keeper.send before 1", "it has ended; the daemon does not know it"),
    Point(EndCommand, "keeper.holdings:Holdings.reap after 1", "its pid is free; the daemon does not know it"),
    Point(EndCommand, "keeper.holdings:Holdings.drop before 1", "it is done, and still held"),
    Point(Close, "keeper.holdings:Holdings.signal after 1", "a job that was hung up; the daemon does not know it"),
    Point(Close, "keeper.holdings:Holdings.drop before 1", "a job that has ended, all held"),
    Point(Close, "keeper.holdings:Holdings.drop after 4", "a part is dropped; the daemon does not know it"),
]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live(environment(), drain_quiet_s=0.05, stdout_settle_s=0.1, close_grace_s=0.5) as started:
        yield started


@pytest.fixture(scope="module")
def nothing(daemon: Live) -> dict[str, Any]:
    """What remains when there is no session."""
    daemon.call("session.close", session=daemon.create("true", coprocess={"command": "cat"}))
    daemon.restart()
    daemon.loaded()
    return remains(daemon)


@pytest.fixture(scope="module")
def bereft() -> Iterator[Live]:
    """A daemon whose first keeper is gone."""
    with live(environment(), drain_quiet_s=0.05, stdout_settle_s=0.1, close_grace_s=0.5) as started:
        kill_keeper(started)
        yield started


@pytest.fixture(scope="module")
def nothing_bereft(bereft: Live) -> dict[str, Any]:
    bereft.call("session.close", session=bereft.create("true", coprocess={"command": "cat"}))
    reconnect(bereft)
    bereft.loaded()
    return remains(bereft)


def kill_keeper(daemon: Live) -> None:
    """Kills the keeper, and waits until another has taken over."""
    keeper = daemon.pids()[1]
    os.kill(keeper, signal.SIGKILL)
    await_true(lambda: daemon.pids()[1] != keeper, "no other keeper has come")


def reconnect(daemon: Live) -> None:
    """Leaves one connection, that of the test."""
    daemon.client.close()
    daemon.subscribe()


def crash(point: Point, daemon: Live, place: Path, process: str, pid: int) -> None:
    """Lets `process`, whose pid is `pid`, crash at the point, and checks what its journey finds afterwards."""
    journey = point.journey(daemon, place / "j")
    module = point.where if point.where.startswith("os:") else f"coprocd.{point.where}"
    killed = "ended with signal 9"
    deaths = daemon.log().count(killed) + 2
    try:
        journey.prepare()
        give(daemon, f"{process} KILL {module}", pid if not journey.in_the_next else None)
        journey.act()
        await_true(
            lambda: not lives(pid) and not Path(daemon.directory, "fault").exists(),
            f"the {process} did not come to {point}, where there is {point.left}",
        )
        if journey.in_the_next:  # which has taken the fault, and may not be there yet
            await_true(
                lambda: daemon.log().count(killed) == deaths, f"the next daemon did not come to {point}, where there is {point.left}"
            )
        reconnect(daemon)
        await_true(lambda: lives(daemon.pids()[1]), "there is no keeper")
        journey.check()
    except BaseException:  # no fault is left to the next test
        Path(daemon.directory, "fault").unlink(missing_ok=True)
        if process == "daemon":
            os.kill(daemon.pids()[0], signal.SIGKILL)
        raise
    finally:
        reconnect(daemon)
        journey.close()
    reconnect(daemon)


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_a_crash_of_the_daemon_leaves_the_whole_or_nothing(daemon: Live, nothing: dict[str, Any], tmp_path: Path, point: Point) -> None:
    crash(point, daemon, tmp_path, "daemon", daemon.pids()[0])
    await_remains(daemon, nothing)


@pytest.mark.parametrize("point", IN_KEEPER, ids=str)
def test_a_crash_of_the_keeper_leaves_the_whole_or_nothing(
    bereft: Live, nothing_bereft: dict[str, Any], tmp_path: Path, point: Point
) -> None:
    crash(point, bereft, tmp_path, "keeper", bereft.pids()[1])
    await_remains(bereft, nothing_bereft)


@pytest.mark.parametrize(
    "where", ["keeper.client:KeeperClient.drop after 1", "keeper.client:KeeperClient.retire after 1", "api.claim:Claim.release before 1"]
)
def test_a_daemon_killed_while_it_is_stopped_leaves_its_sessions_to_the_next(daemon: Live, nothing: dict[str, Any], where: str) -> None:
    session = daemon.raw_cat()
    before, pid = daemon.call("session.get", session=session), daemon.pids()[0]
    give(daemon, f"daemon KILL coprocd.{where}", pid)
    daemon.client.send("daemon.shutdown")
    await_true(lambda: not lives(pid), f"the daemon did not come to {where}")
    daemon.client.close()
    daemon.command("daemon", "start")
    daemon.subscribe()
    after = daemon.call("session.get", session=session)
    assert [after[name] for name in ("pid", "state", "epoch")] == [before[name] for name in ("pid", "state", "epoch")]
    daemon.call("session.send_text", session=session, text="here")
    daemon.output(session, b"here")
    daemon.call("session.close", session=session)
    reconnect(daemon)
    await_remains(daemon, nothing)
