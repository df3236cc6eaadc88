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
_TRIGGER = ("trigger_not_found", "invalid_regex", "resource_exhausted", "permission_denied")
_INPUT = (*_SESSION, "session_exited", "session_busy", "input_full", "line_too_long", "precondition_failed")

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "session.create",
            "SessionCreate",
            "Session",
            ("name_taken", "spawn_failed", "session_exited", "resource_exhausted", "invalid_regex"),
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
            "session.detach",
            "SessionDetach",
            "Detached",
            _SESSION,
            "Asks clients that are attached to go: the one with this id, or all. The session goes on.",
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
            "session.inject",
            "SessionInject",
            "Nothing",
            (*_SESSION, "session_exited"),
            "Shows bytes on the screen and to viewers, which the job, the log, coprocesses and triggers do not get.",
        ),
        Method(
            "session.capture",
            "SessionCapture",
            "Captured",
            (*_SESSION, "screen_unavailable"),
            "The screen as it is now, as text, with attributes, or cell by cell, and with lines that have scrolled off above it.",
        ),
        Method(
            "session.set_variable",
            "SessionSetVariable",
            "Session",
            (*_SESSION, "resource_exhausted"),
            "Sets a variable on a session; triggers may wait for its change.",
        ),
        Method(
            "session.annotate",
            "SessionAnnotate",
            "Mark",
            (*_SESSION, "offset_lost", "resource_exhausted"),
            "Puts a note at an offset of the output.",
        ),
        Method(
            "session.marks", "SessionMarks", "list[Mark]", _SESSION, "The marks of a session: what triggers and callers left at offsets."
        ),
        Method(
            "trigger.add",
            "TriggerAdd",
            "Trigger",
            (*_SESSION, "session_exited", "invalid_regex", "resource_exhausted", "permission_denied"),
            "Adds a trigger to a session, or to a profile in config.toml; a profile that there is not begins with it.",
        ),
        Method(
            "trigger.list",
            "TriggerList",
            "list[Trigger]",
            _SESSION,
            "The triggers of a session: its own, then its profile's, with what they did in it. Or those of a profile, with what they did in all its sessions.",
        ),
        Method("trigger.get", "TriggerGet", "Trigger", ("trigger_not_found",), "One trigger, by id or name."),
        Method(
            "trigger.update",
            "TriggerUpdate",
            "Trigger",
            ("session_exited", *_TRIGGER),
            "Changes what a trigger waits for or does, or its place in the order.",
        ),
        Method("trigger.remove", "TriggerGet", "Trigger", _TRIGGER, "Removes a trigger: how it was at its end."),
        Method("trigger.enable", "TriggerGet", "Trigger", _TRIGGER, "Switches a trigger on."),
        Method("trigger.disable", "TriggerGet", "Trigger", _TRIGGER, "Switches a trigger off."),
        Method(
            "trigger.test",
            "TriggerTest",
            "TriggerTestResult",
            ("invalid_regex",),
            "What a regex would match if a session printed a text, and what the parameter would be. Nothing is run.",
        ),
        Method(
            "trigger.import",
            "TriggerImport",
            "TriggerImported",
            (*_SESSION, "session_exited", "resource_exhausted", "permission_denied"),
            "Adds triggers as iTerm2 exports them, and says of each that cannot work here why.",
        ),
        Method(
            "trigger.export",
            "TriggerExport",
            "list[dict[str, Any]]",
            _SESSION,
            "A session's own triggers, or a profile's, as iTerm2 imports them.",
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
            "prompt.ask",
            "PromptAsk",
            "PromptValue",
            (*_SESSION, "session_exited", "session_busy", "timed_out", "resource_exhausted"),
            "Asks the person who is attached, or the next who attaches, and waits for the answer. It ends with the connection.",
        ),
        Method(
            "prompt.answer",
            "PromptAnswer",
            "Nothing",
            ("prompt_not_found",),
            "Answers a question, as an attached client does; null refuses it.",
        ),
        Method(
            "command.list",
            "CommandList",
            "list[Command]",
            _SESSION,
            "The commands that triggers started and that run or wait, and the last 100 that ended; of each the last 1,000 characters of its output.",
        ),
        Method("command.get", "CommandGet", "Command", ("command_not_found",), "One command, with its output."),
        Method(
            "command.wait",
            "CommandWait",
            "Command",
            ("command_not_found",),
            "Waits until a command has ended, or for `timeout_s`: then it is answered as it is, `running`.",
        ),
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
            "daemon.reload",
            None,
            "Reloaded",
            (),
            "Reads the profiles in config.toml anew; where the file is broken, they stay and the error says where.",
        ),
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
    "client.attached": "a client has attached; carries its id as client, mode and pid",
    "client.detached": "a client has gone; carries its id as client, and by, who had asked for it: `client`, `request`, or null where its connection ended",
    "coprocess.started": "a coprocess runs",
    "coprocess.ended": "a coprocess has ended; carries end_reason, exit_status, signal and stderr",
    "coprocess.refused": "a coprocess was refused, since one runs",
    "coprocess.stalled": "a coprocess and its session wait for each other",
    "coprocess.lost": "an observer with on_full `drop` was overtaken; carries from and to",
    "coprocess.line_cut": "the terminal drops bytes that a coprocess typed, since their line is too long; carries bytes, and is told once",
    "command.started": "a command of a trigger's runs; carries command_id, trigger, command and pid",
    "command.ended": "its process has ended; carries command_id, trigger, command, exit_status, signal, failure and duration_s",
    "trigger.fired": "a trigger fired; carries trigger, name, action, where in the output, the line and the captures",
    "trigger.throttled": "a trigger matches too often and does not fire for now; told once, its matches are counted",
    "trigger.failed": "what a trigger was to do could not be done, or its command has failed; carries reason and message, for a command also command_id, exit_status, signal and the last 1,000 characters of output",
    "session.title": "its title is another",
    "screen.restarted": "the worker that draws screens died, of this session's output where one is named, and another has taken its place; carries why",
    "session.injected": "bytes were injected that screen and viewers show; carries offset and their number",
    "prompt.asked": "a program asks the person who is attached; carries prompt, kind and message",
    "prompt.ended": "the question waits no more; carries prompt, and how: `answered`, `refused`, `timed_out`, `session_ended`, or `gone`, whoever asked",
    "notification": "a trigger's Notify or Alert; carries text, alert and offset",
    "bell": "a trigger's Ring Bell; carries offset",
    "call": "a trigger's Call Script Function; carries call, line and groups: a subscriber acts",
    "password": "a trigger's Open Password Manager; carries account",
    "input": "something was typed; carries origin and bytes, never content",
    "config.reloaded": "config.toml was read anew; carries profiles, the names of those that changed",
    "config.failed": "config.toml is broken, and the triggers stay as they were; carries fault, which says where",
    "dropped": "this subscriber missed from_seq to to_seq",
}
