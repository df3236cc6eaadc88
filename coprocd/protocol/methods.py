"""The one table of methods. Dispatch, OpenRPC, the reference in docs/rpc.md and the commands' completion come from it.

A new method is one entry here, one function in `coprocd.api.methods`, one command and one section in the docs;
the tests fail on any omission. Types are named as they stand in `coprocd.protocol.objects`.
"""

from __future__ import annotations

from collections import namedtuple

# name:     namespace and verb, as called
# params:   the struct of its parameters, or None for a method that takes none
# result:   the type of its result, as an annotation
# errors:   codes it may answer with, besides the spec's own
# summary:  one line
# needs:    "" | "connection": it only works where notifications can follow (newline framing, websocket)
Method = namedtuple("Method", "name params result errors summary needs", defaults=("",))

_SESSION = ("session_not_found", "session_ambiguous")
_INPUT = (*_SESSION, "session_exited", "session_busy", "input_full", "line_too_long", "precondition_failed")

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "session.create",
            "SessionCreate",
            "Session",
            ("name_taken", "spawn_failed", "session_exited", "resource_exhausted"),
            "Starts a job on a new pty; with `coprocess`, a coprocess that sees its output from byte 0.",
        ),
        Method("session.list", "SessionList", "list[Session]", (), "All sessions, the ended ones that are kept included."),
        Method("session.get", "SessionGet", "Session", _SESSION, "One session, by id, name or unique prefix of its id."),
        Method("session.renew", "SessionGet", "Session", (*_SESSION, "session_exited"), "Renews the lease given to `session.create`."),
        Method("session.rename", "SessionRename", "Session", (*_SESSION, "name_taken"), "Gives a session another name."),
        Method(
            "session.resize",
            "SessionResize",
            "Session",
            (*_SESSION, "session_exited", "session_busy"),
            "Sets the size of a session's terminal.",
        ),
        Method(
            "session.signal",
            "SessionSignal",
            "Session",
            (*_SESSION, "session_exited", "session_busy", "permission_denied"),
            "Sends a signal to the process group of the session's job.",
        ),
        Method(
            "session.close",
            "SessionClose",
            "Session",
            _SESSION,
            "Hangs the job up, kills it when the grace is over, and drops the session with its log.",
        ),
        Method("session.send_text", "SessionSendText", "Accepted", _INPUT, "Types text, as it is: all of it or nothing."),
        Method(
            "session.send_keys", "SessionSendKeys", "Accepted", _INPUT, "Types keys by name: `Enter`, `C-c`, `Up`, `F1`, or a character."
        ),
        Method(
            "session.paste",
            "SessionPaste",
            "Accepted",
            _INPUT,
            "Types text as a terminal pastes it: bracketed where asked for, of control characters only tab and Enter.",
        ),
        Method("session.send_bytes", "SessionSendBytes", "Accepted", _INPUT, "Types bytes."),
        Method(
            "session.read",
            "SessionRead",
            "Output",
            _SESSION,
            "Reads what the session printed, from an offset on; waits for more when asked to.",
        ),
        Method(
            "coprocess.run",
            "CoprocessRun",
            "Coprocess",
            (
                *_SESSION,
                "session_exited",
                "session_busy",
                "coprocess_already_running",
                "no_coprocess",
                "spawn_failed",
                "offset_lost",
                "resource_exhausted",
            ),
            "Starts a coprocess: all that the session prints is its stdin, all that it prints is typed.",
        ),
        Method(
            "coprocess.stop",
            "CoprocessStop",
            "Stopped",
            (*_SESSION, "no_coprocess"),
            "Ends a coprocess: SIGTERM to its group, SIGKILL after the grace.",
        ),
        Method(
            "coprocess.get",
            "CoprocessGet",
            "Coprocess | None",
            _SESSION,
            "The coprocess that types and runs, else the last that ended, else null.",
        ),
        Method("coprocess.list", "CoprocessList", "list[Coprocess]", _SESSION, "All coprocesses, observers and ended ones included."),
        Method(
            "events.subscribe",
            "EventsSubscribe",
            "Subscription",
            _SESSION,
            "Asks for `event` notifications on this connection.",
            "connection",
        ),
        Method("events.unsubscribe", "EventsUnsubscribe", "Nothing", (), "Ends a subscription.", "connection"),
        Method("daemon.info", None, "DaemonInfo", (), "Pids, version, protocol, places and limits of this daemon."),
        Method(
            "daemon.restart",
            "DaemonRestart",
            "DaemonInfo",
            ("version_mismatch",),
            "Ends this daemon and starts the installed one in its place, once that one has said that it can; sessions live on.",
        ),
        Method(
            "daemon.shutdown", "DaemonShutdown", "ShutdownReport", (), "Ends the daemon; with `sessions`, every session and the keeper too."
        ),
        Method("rpc.discover", None, "dict[str, Any]", (), "The OpenRPC document of this API."),
    )
}

EVENT_TYPES: dict[str, str] = {
    "session.created": "a session was created",
    "session.exited": "its job has ended; carries exit_status, signal and the last output_offset",
    "session.closed": "a session was dropped with its log; carries left_pid when its job could not be killed",
    "session.lost": "daemon and keeper were killed together, and it with them; carries name and pid",
    "session.renamed": "it has another name",
    "session.resized": "its terminal has another size",
    "session.paused": "its output is not read, since a coprocess does not keep up; carries why and by",
    "session.resumed": "its output is read again",
    "coprocess.started": "a coprocess runs",
    "coprocess.ended": "a coprocess has ended; carries end_reason, exit_status, signal and stderr",
    "coprocess.refused": "a coprocess was refused, since one runs",
    "coprocess.stalled": "a coprocess and its session wait for each other",
    "coprocess.lost": "an observer with on_full `drop` was overtaken; carries from and to",
    "coprocess.line_cut": "the terminal drops bytes that a coprocess typed, since their line is too long; carries bytes, and is told once",
    "input": "something was typed; carries origin and bytes, never content",
    "dropped": "this subscriber missed from_seq to to_seq",
}
