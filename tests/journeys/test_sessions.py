"""Sessions: how they start, what is typed into them, what is read, and how they end."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from support.attached import Attached
from support.live import Live, RpcError, live, lives


def refused(daemon: Live, method: str, **params: object) -> RpcError:
    with pytest.raises(RpcError) as error:
        daemon.call(method, **params)
    return error.value


def test_without_a_command_the_users_shell_runs_as_a_login_shell(daemon: Live) -> None:
    session = daemon.create(env={"SHELL": "/bin/bash", "HOME": daemon.directory, "PS1": "> "})
    daemon.call(
        "session.send_text", session=session, text='shopt -q login_shell && echo "$COPROCD_SESSION $COPROCD_SOCKET $TERM" done', enter=True
    )
    assert f"{session} {daemon.socket} xterm-256color done".encode() in daemon.output(session, f"{session} {daemon.socket}".encode())
    daemon.call("session.close", session=session)


def test_it_has_the_directory_environment_size_and_name_it_was_given(daemon: Live, tmp_path: Path) -> None:
    created = daemon.call(
        "session.create",
        shell="pwd; stty size; echo $A-$PATHLESS; sleep 100",
        cwd=str(tmp_path),
        env={"A": "b", "HOME": None},
        rows=30,
        cols=90,
        name="n",
        labels={"l": "1"},
    )
    text = daemon.output(created["id"], b"b-").decode()
    assert str(tmp_path) in text and "30 90" in text
    assert (created["name"], created["rows"], created["cols"], created["labels"], created["state"]) == ("n", 30, 90, {"l": "1"}, "running")
    assert [s["id"] for s in daemon.call("session.list", labels={"l": "1"})] == [created["id"]]
    assert daemon.call("session.list", labels={"l": "2"}) == []
    assert refused(daemon, "session.create", argv=["cat"], name="n").code == "name_taken"
    resized = daemon.call("session.resize", session="n", rows=40, cols=100)
    assert (resized["rows"], resized["cols"]) == (40, 100)
    daemon.call("session.rename", session="n", name="m")
    assert daemon.call("session.get", session="m")["id"] == daemon.call("session.get", session=created["id"][:9])["id"] == created["id"]
    assert refused(daemon, "session.get", session="n").code == "session_not_found"
    daemon.call("session.close", session="m")
    assert refused(daemon, "session.get", session=created["id"]).code == "session_not_found"


def test_an_ambiguous_prefix_is_refused(daemon: Live) -> None:
    sessions = [daemon.create("cat") for _ in range(2)]
    assert refused(daemon, "session.get", session="s").code == "session_ambiguous"
    for session in sessions:
        daemon.call("session.close", session=session)


@pytest.mark.parametrize("name", ["", "a/b", "@a", "-a", "a\0b"])
def test_a_name_that_cannot_be_is_refused(daemon: Live, name: str) -> None:
    assert refused(daemon, "session.create", argv=["cat"], name=name).code == "invalid_params"


def test_what_cannot_start_is_said(daemon: Live, tmp_path: Path) -> None:
    for params in ({"argv": ["no-such-command"]}, {"argv": ["cat"], "cwd": "/no/such"}, {"argv": [str(tmp_path)]}):
        assert refused(daemon, "session.create", **params).code == "spawn_failed"
    assert refused(daemon, "session.create", argv=["cat"], cwd="relative").code == "invalid_params"
    assert refused(daemon, "session.create", argv=["cat"], shell="cat").code == "invalid_params"


def test_the_same_key_is_the_same_session_also_when_both_are_asked_at_once(daemon: Live) -> None:
    both = [daemon.client.send("session.create", argv=["cat"], key="k1") for _ in range(2)]
    first, second = (daemon.client.answer(number)["id"] for number in both)
    assert first == second == daemon.call("session.create", argv=["sleep", "1"], key="k1")["id"]
    daemon.call("session.close", session=first)


def test_a_lease_that_is_not_renewed_closes_it(daemon: Live) -> None:
    session = daemon.create("cat", lease_s=0.3)
    daemon.call("session.renew", session=session)
    daemon.client.event("session.closed", session=session)


def test_remove_drops_it_when_it_exits(daemon: Live) -> None:
    session = daemon.create("true", remove=True)
    daemon.client.event("session.closed", session=session)
    assert refused(daemon, "session.get", session=session).code == "session_not_found"


def test_remove_lets_one_who_is_attached_and_slow_have_the_rest_first(daemon: Live) -> None:
    session = daemon.create(shell="read line; seq 400000; exit 3", remove=True)
    client = Attached(daemon.socket, session)
    client.drawn()
    client.shown.clear()
    daemon.call("session.send_text", session=session, text="\n")
    daemon.client.event("session.exited", session=session)
    client.to_the_end()
    assert client.shown.replace(b"\r\n", b"\n").endswith(b"".join(b"%d\n" % number for number in range(1, 400001))[-1 << 20 :])
    assert client.messages[-1] == {"type": "exit", "exit_status": 3, "signal": None}
    client.close()
    daemon.client.event("session.closed", session=session)


def test_an_ended_one_stays_readable_and_its_name_is_free(daemon: Live) -> None:
    session = daemon.create(shell="echo last words; exit 3", name="mortal")
    assert daemon.client.event("session.exited", session=session)["exit_status"] == 3
    assert daemon.output(session) == b"last words\r\n"
    shown = daemon.call("session.get", session="mortal")
    assert (shown["state"], shown["exit_status"], shown["signal"]) == ("exited", 3, None)
    again = daemon.create("cat", name="mortal")
    assert daemon.call("session.get", session="mortal")["id"] == again
    assert refused(daemon, "session.send_text", session=session, text="x").code == "session_exited"
    assert refused(daemon, "coprocess.run", session=session, command="cat").code == "session_exited"
    for each in (session, again):
        daemon.call("session.close", session=each)


def test_of_ended_ones_the_last_are_kept() -> None:
    with live(ended_sessions_most=2) as daemon:
        made = [daemon.create("true") for _ in range(4)]
        for _ in made[:2]:
            daemon.client.event("session.closed")
        assert len(daemon.call("session.list")) == 2


def test_the_signal_that_ended_it_is_told(daemon: Live) -> None:
    session = daemon.create("sleep", "100")
    daemon.call("session.signal", session=session, signal="TERM")
    assert daemon.client.event("session.exited", session=session)["signal"] == "SIGTERM"
    assert refused(daemon, "session.signal", session=session, signal="NOPE").code in ("invalid_params", "session_exited")


def test_exit_is_seen_although_a_background_child_holds_the_terminal(daemon: Live) -> None:
    session = daemon.create(shell="trap '' HUP; (while sleep 0.02 && echo more; do :; done) & echo all; exit 0")
    assert daemon.client.event("session.exited", session=session)["exit_status"] == 0
    assert b"all" in daemon.output(session)


def test_close_kills_what_ignores_sighup_after_the_grace(daemon: Live) -> None:
    session = daemon.create(shell="trap '' HUP TERM; echo deaf; while :; do sleep 0.1; done")
    daemon.output(session, b"deaf")
    pid = daemon.call("session.get", session=session)["pid"]
    assert daemon.call("session.close", session=session, grace_s=0.2)["signal"] == "SIGKILL"
    assert not lives(pid)


def test_close_hangs_up_the_job_in_front_of_a_shell(daemon: Live) -> None:
    session = daemon.create("bash", "--norc", "-i")
    daemon.call("session.send_text", session=session, text="sleep 1000", enter=True)
    while (front := daemon.call("session.get", session=session)["foreground"])["argv"] != ["sleep", "1000"]:
        pass
    daemon.call("session.close", session=session)
    assert not lives(front["pid"])


def test_text_keys_paste_and_bytes_are_typed_as_they_are(daemon: Live) -> None:
    session = daemon.raw_cat()
    assert daemon.call("session.send_text", session=session, text="é", enter=True)["accepted_bytes"] == 3
    daemon.call("session.send_keys", session=session, keys=["C-c", "Up", "F5", "M-x", "Enter"])
    daemon.call("session.paste", session=session, text="a\x1b[31m\nb\x9b")
    daemon.call("session.send_bytes", session=session, data_b64=base64.b64encode(b"\0\xff").decode())
    assert daemon.output(session, b"\0\xff") == b"ready\n\xc3\xa9\r\x03\x1b[A\x1b[15~\x1bx\ra[31m\rb\0\xff"
    daemon.call("session.close", session=session)


def test_a_paste_is_bracketed_and_arrows_are_application_keys_where_the_job_asked_for_it(daemon: Live) -> None:
    session = daemon.create(shell="stty raw -echo; printf '\\033[?1;2004h'; printf ready; exec cat")
    daemon.output(session, b"ready")
    daemon.call("session.paste", session=session, text="x")
    daemon.call("session.send_keys", session=session, keys=["Up"])
    daemon.output(session, b"\x1b[200~x\x1b[201~\x1bOA")
    daemon.call("session.close", session=session)


def test_of_keys_one_of_which_is_unknown_nothing_is_typed(daemon: Live) -> None:
    session = daemon.raw_cat()
    assert refused(daemon, "session.send_keys", session=session, keys=["a", "Nokey"]).code == "invalid_params"
    daemon.call("session.send_text", session=session, text="end")
    assert daemon.output(session, b"end") == b"ready\nend"
    daemon.call("session.close", session=session)


def test_a_line_that_the_terminal_would_cut_is_refused(daemon: Live) -> None:
    session = daemon.create(shell="stty -echo; wc -c")
    while daemon.call("session.get", session=session)["activity"] != "awaiting_input":
        pass
    assert refused(daemon, "session.send_text", session=session, text="x" * 10_000).code == "line_too_long"
    daemon.call("session.send_text", session=session, text="y" * 4000)
    assert refused(daemon, "session.send_text", session=session, text="y" * 96).code == "line_too_long"
    daemon.call("session.send_text", session=session, text=("y" * 95 + "\n") + ("z" * 4095 + "\n"))
    daemon.call("session.send_keys", session=session, keys=["C-d"])
    assert b"8192" in daemon.output(session)


def test_a_job_that_waits_to_print_does_not_await_input(daemon: Live) -> None:
    """Both sleep in the same place of the kernel: a session that a slow coprocess had paused was said to await input."""
    session = daemon.create("yes")
    daemon.call("coprocess.run", session=session, command="sleep 1000")
    daemon.client.event("session.paused", session=session)
    assert daemon.call("session.get", session=session)["activity"] == "running"
    daemon.call("session.close", session=session)


def test_input_that_nobody_reads_is_bounded_and_refused_whole(daemon: Live) -> None:
    session = daemon.create(shell="stty raw -echo; echo ready; sleep 100")
    daemon.output(session, b"ready\n")
    accepted = 0
    with pytest.raises(RpcError) as full:
        for _ in range(100):
            accepted += daemon.call("session.send_text", session=session, text="x" * 50_000)["accepted_bytes"]
    assert full.value.code == "input_full" and 1 << 19 < accepted < 2 << 20
    assert accepted - (1 << 18) < daemon.call("session.get", session=session)["input_bytes"] <= accepted
    daemon.call("session.close", session=session)


def test_a_coprocess_that_starts_with_its_session_can_begin_nowhere_but_at_byte_0(daemon: Live) -> None:
    """Another offset was passed over, and nobody told."""
    spec = {"command": "cat", "input": False}
    assert refused(daemon, "session.create", argv=["cat"], name="late", coprocess={**spec, "from": 5}).code == "invalid_params"
    assert all(session["name"] != "late" for session in daemon.call("session.list"))
    daemon.call("session.close", session=daemon.create("cat", coprocess={**spec, "from": 0}))


def test_a_condition_that_is_not_met_leaves_the_session_untouched(daemon: Live) -> None:
    session = daemon.raw_cat()
    daemon.await_(
        lambda: daemon.call("session.get", session=session)["foreground"]["argv"][:1] == ["cat"]
    )  # no longer its shell, nor in between
    offset = daemon.call("session.get", session=session)["output_offset"]
    for condition in ({"offset": offset + 1}, {"echo": True}, {"at_prompt": True}, {"foreground": "vim"}):
        error = refused(daemon, "session.send_text", session=session, text="no", if_=condition)
        assert error.code == "precondition_failed" and error.data["condition"] in condition
        assert "True" not in str(error) and "False" not in str(error)  # values stand as JSON has them
    daemon.call("session.send_text", session=session, text="yes", if_={"offset": offset, "echo": False, "foreground": "cat"})
    assert daemon.output(session, b"yes") == b"ready\nyes"
    daemon.call("session.close", session=session)


def test_the_same_key_types_once(daemon: Live) -> None:
    session = daemon.raw_cat()
    answers = [daemon.call("session.send_text", session=session, text="once", key="t1") for _ in range(3)]
    daemon.call("session.send_text", session=session, text="end")
    assert daemon.output(session, b"end") == b"ready\nonceend" and answers[0] == answers[1] == answers[2]
    daemon.call("session.close", session=session)


def test_reading_waits_tells_what_is_lost_and_never_cuts_a_character(daemon: Live) -> None:
    session = daemon.create(shell="stty raw -echo; printf 'é'; read a; head -c 100000 /dev/zero; printf '\\303'; read a", log_bytes=65536)
    daemon.output(session, "é".encode())
    assert daemon.call("session.read", session=session, format="text", from_offset=0)["text"] == "é"
    waiting = daemon.client.send("session.read", session=session, from_offset=2, wait_s=20)
    daemon.call("session.send_text", session=session, text="\n")
    assert daemon.client.answer(waiting)["next_offset"] > 2
    while daemon.call("session.get", session=session)["output_offset"] < 100_003:
        pass
    read = daemon.call("session.read", session=session, from_offset=0, format="text", max_bytes=1 << 20)
    assert (read["offset"], read["lost_bytes"], read["next_offset"], read["eof"]) == (100_003 - 65536, 100_003 - 65536, 100_002, False)
    assert refused(daemon, "session.read", session=session, from_offset=200_000).code == "invalid_params"
    nothing = daemon.call("session.read", session=session, from_offset=100_003, wait_s=0.05)
    assert (nothing["data_b64"], nothing["next_offset"]) == ("", 100_003)
    daemon.call("session.send_text", session=session, text="\n")
    daemon.client.event("session.exited", session=session)
    last = daemon.call("session.read", session=session, from_offset=100_002, format="text", wait_s=10)
    assert (last["text"], last["eof"]) == ("�", True)


def test_who_waits_for_output_is_told_when_it_is_closed(daemon: Live) -> None:
    session = daemon.create("cat")
    waiting = daemon.client.send("session.read", session=session, wait_s=100)
    closing = daemon.client.send("session.close", session=session)
    answers = []
    for number in (waiting, closing):
        try:
            answers.append(daemon.client.answer(number).get("eof"))
        except RpcError as error:
            answers.append(error.code)
    assert answers[0] in (True, "session_not_found") and answers[1] is None


def test_typing_is_an_event_with_origin_and_size_and_never_content(daemon: Live) -> None:
    session = daemon.raw_cat()
    daemon.call("session.send_text", session=session, text="secret")
    event = daemon.client.event("input", session=session)
    assert (event["origin"], event["bytes"]) == ("send_text", 6) and "secret" not in str(event)
    daemon.call("session.close", session=session)


def test_a_hundred_sessions_leave_no_descriptor_and_no_process(daemon: Live) -> None:
    daemon.call("session.close", session=daemon.create("true", coprocess={"command": "cat >/dev/null"}))
    before = daemon.descriptors()
    jobs = []
    for _ in range(100):
        created = daemon.call("session.create", argv=["cat"], coprocess={"command": "cat >/dev/null"})
        jobs.append(created["pid"])
        daemon.call("session.close", session=created["id"], grace_s=0.5)
    assert daemon.descriptors() == before
    assert not any(os.path.exists(f"/proc/{pid}") for pid in jobs)
