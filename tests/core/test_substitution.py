"""A trigger's parameter and its captures: what is expanded, what is not, and where a capture is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coprocd.core import substitution
from coprocd.core.parameter import pieces
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Action

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
CAPTURED = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("\\1\x1a'\"$`\u202e\x9b"), max_size=20).map(str.encode)
GROUPS = st.lists(st.none() | CAPTURED, max_size=12)
PARAMETER = st.lists(
    st.sampled_from(["\\0", "\\1", "\\9", "\\n", "\\x1b", "\\xff", "\\\\", "\\", "\\q", "'", '"', "$(", ")", "`", " ", ";", "\n", "#"])
    | st.text(max_size=3),
    max_size=12,
).map("".join)


def refused(parameter: str | list[str]) -> str:
    with pytest.raises(CoprocdError) as caught:
        substitution.check_command(parameter)
    assert caught.value.code == "invalid_params"
    return caught.value.message


# -- text and bytes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "shown"),
    [
        (r"\0|\1|\2|\3|\9", "one two|one|two||"),
        (r"\10", "one0"),
        (r"a\tb\n\e[1m\a\b\r", "a\tb\n\x1b[1m\a\b\r"),
        (r"\x41\x1B\xe2\x82\xac", "A\x1b€"),
        (r"\\1 \\n \\\1", r"\1 \n \one"),
        (r"\q \x \x4 \xg1 \.", r"\q \x \x4 \xg1 \."),
        ("\\", "\\"),
        ("", ""),
    ],
)
def test_a_parameter_is_expanded_in_one_pass(parameter: str, shown: str) -> None:
    groups = [b"one two", b"one", b"two", None]
    assert substitution.text(parameter, groups) == shown
    assert substitution.typed(parameter, groups) == substitution.data(parameter, groups) == shown.encode()


def test_what_a_capture_holds_is_never_expanded_again() -> None:
    groups = [b"", rb"\2\n\x41\\", b"secret"]
    assert substitution.text(r"<\1>", groups) == r"<\2\n\x41\\>"
    assert substitution.argv([r"<\1>"], groups) == [r"<\2\n\x41\\>"]


def test_a_capture_brings_no_control_characters_and_a_byte_that_was_none_is_shown() -> None:
    groups = ["a\x1b]0;x\x07\r\n\x7f\u009b\u202ereversed\u2066\x1ab".encode()]
    assert substitution.text(r"\0\n", groups) == "a]0;xreversed\ufffdb\n"
    assert substitution.typed(r"\0\r", groups) == "a]0;xreversed\ufffdb\r".encode()


def test_bytes_of_the_parameter_are_typed_as_they_are() -> None:
    assert substitution.typed(r"\xff\x00\x80", []) == b"\xff\x00\x80"
    assert substitution.text(r"\xff", []) == "\ufffd"


@given(PARAMETER, GROUPS)
def test_only_the_parameter_can_hold_control_characters(parameter: str, groups: list[bytes | None]) -> None:
    author = "".join(piece for piece, _ in pieces(parameter) if isinstance(piece, str))
    assert CONTROLS.findall(substitution.text(parameter, groups)) == CONTROLS.findall(author)
    assert substitution.typed(parameter, groups) == substitution.data(parameter, groups)


# -- commands -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "command"),
    [
        (r"echo \1", 'echo "${COPROCD_MATCH_1}"'),
        (r"echo a\1b", 'echo a"${COPROCD_MATCH_1}"b'),
        (r'echo "a\1b"', 'echo "a${COPROCD_MATCH_1}b"'),
        (r"echo 'a\1b' > f", "echo 'a'\"${COPROCD_MATCH_1}\"'b' > f"),
        (r"""echo "$(cat '\1')" """, """echo "$(cat ''"${COPROCD_MATCH_1}"'')" """),
        (r"x=$(basename -- \1)", 'x=$(basename -- "${COPROCD_MATCH_1}")'),
        (r"(cd /; ls -- \0) &", '(cd /; ls -- "${COPROCD_MATCH_0}") &'),
        (r"if true; then echo \1; else echo \2; fi", 'if true; then echo "${COPROCD_MATCH_1}"; else echo "${COPROCD_MATCH_2}"; fi'),
        (r"echo it\'s \" \1", r"""echo it\'s \" "${COPROCD_MATCH_1}" """.rstrip()),
        ("echo a \\\n \\1", 'echo a  "${COPROCD_MATCH_1}"'),
        ("echo a # isn't\necho \\1", 'echo a # isn\'t\necho "${COPROCD_MATCH_1}"'),
        (r"echo ${HOME} $((1 + 2)) `date` \1", 'echo ${HOME} $((1 + 2)) `date` "${COPROCD_MATCH_1}"'),
        (r"printf \x27%s\x27 \1", "printf '%s' \"${COPROCD_MATCH_1}\""),
        (r"cat > \1 2>&1 <<E", 'cat > "${COPROCD_MATCH_1}" 2>&1 <<E'),
        (r"case $1 in a) echo it\'s;; esac; f() { cat <<E; }", r"case $1 in a) echo it\'s;; esac; f() { cat <<E; }"),
        (r"trzsz-iterm2 \1", 'trzsz-iterm2 "${COPROCD_MATCH_1}"'),
        (r"echo vim \1; sleep 0.5; echo \2G", 'echo vim "${COPROCD_MATCH_1}"; sleep 0.5; echo "${COPROCD_MATCH_2}"G'),
    ],
)
def test_a_capture_in_a_command_is_a_variable_that_is_quoted_for_its_place(parameter: str, command: str) -> None:
    substitution.check_command(parameter)
    assert substitution.command(parameter) == command


@given(PARAMETER, GROUPS, GROUPS)
def test_the_text_of_a_command_does_not_depend_on_what_was_captured(
    parameter: str, one: list[bytes | None], other: list[bytes | None]
) -> None:
    try:
        command = substitution.command(parameter, one)
    except CoprocdError as error:
        assert error.code == "invalid_params"
        return
    assert command == substitution.command(parameter, other)


PROGRAM = [
    r"\1", r"/usr/bin/\1 x", r"'\1'", r"A=b \1", r"env \1", r"env -u A B=c \1", r"exec \1", r"sudo -u bob \1", r"sudo --user bob \1",
    r"nohup \1", r"nice -n 5 \1", r"time \1", r"command \1", r"xargs -I {} \1", r"timeout 5 \1", r"x; \1", "x\n\\1", r"x | \1", r"x && \1",
    r"x || \1", r"x & \1", r'echo "$(\1)"', r"(\1)", r"{ \1; }", r"! \1", r"if \1; then x; fi", r"while x; do \1; done", r"> f \1",
    r"2>&1 \1", r'"$(echo \1)"', r"find . -exec \1 {} +", r"time { \1; }", r"for x do \1; done", "a\\\n\\1", r"env nice sudo \1",
    r"$x \1", r"${x} \1", r"$(x) \1", r"`x` \1", r'"$@" \1', r"env $x \1", r"${x}nice \1", r"env a.b=c \1", r"env - \1", r"flock - \1", r"nice $x -n 5 \1",
]  # fmt: skip


@pytest.mark.parametrize("parameter", PROGRAM)
def test_a_capture_that_would_be_the_program_is_refused(parameter: str) -> None:
    assert re.search(
        r"in the parameter at character \d+: .*(would be the program itself|may be (a|the) program|would be split into words|would be part of a variable)",
        refused(parameter),
    )


CODE = [
    r"sh -c 'echo \1'", r'bash -lc "echo \1"', r"sh \1", r"sh -- \1", r"bash --rcfile x \1", r"eval echo \1", r". \1", r"trap \1 EXIT",
    r"python3 -c 'print(\1)'", r"/usr/bin/python3.11 -c\1", r"perl -ne 'print \1'", r"perl -e x -e \1", r"ruby -e \1", r"node -e \1",
    r"node --eval \1", r"awk '/\1/'", r"sed s/x/\1/", r"sed -n -e p -e \1", r"env -S 'x \1'", r"su -c 'x \1'", r"watch ls \1",
    r"ssh -o \1 host", r"tmux new-window \1", r"find . -exec sh -c 'x \1' \;", r"xargs sh -c \1", r"alias x=\1",
    r"let \1", r"[ -v \1 ]", r'sh -c "$(printf %s \1)"', r"busybox sh -c \1",
    r"sh $x-c 'echo \1'", r"python3 $x \1", r"${x}eval \1", r"flock f -c \1", r"flock -c \1 f",
]  # fmt: skip


@pytest.mark.parametrize("parameter", CODE)
def test_a_capture_in_the_code_of_another_interpreter_is_refused_and_the_variable_named(parameter: str) -> None:
    assert '"$COPROCD_MATCH_1"' in refused(parameter)


def test_a_capture_for_the_shell_at_the_other_end_is_refused_and_no_variable_named() -> None:
    """A variable would be put into what is sent, and read as code there."""
    said = refused(r"ssh host ls \1")
    assert "the other end of ssh" in said and "give it as input" in said and "COPROCD_MATCH" not in said
    substitution.check_command(r"printf %s \1 | ssh host 'x=$(cat); ls -- \"$x\"'")


@pytest.mark.parametrize(
    "parameter",
    [
        *(r"echo \1 | sh", r"echo \1 | (bash)", r"echo \1 | bash -s x", r"echo \1 | python3 -", r"echo \1 | xargs -I{} sh -c 'x {}'"),
        *(r"{ echo \1; } | { x; sh; }", r"echo \1 | ssh host", r"printf \1 | xargs -I{} {}", r"sh < \1", r"$x sh < \1", r"cat < \1 | sh"),
    ],
)
def test_what_a_capture_was_printed_into_is_not_run(parameter: str) -> None:
    assert "would run what a capture was printed into" in refused(parameter)


@pytest.mark.parametrize(
    "parameter",
    [
        *(r"echo `echo \1`", r"echo $((\1))", r"echo $(( (1) + \1 ))", r"echo ${x:-\1}", "cat <<E\n\\1\nE", "cat <<E && echo \\1", r"$\1"),
        *(r'"$\1"', r"\\\1", r'"\\\1"', r"case \1 in esac", r"case x in x) echo \1; esac", r"f() { echo \1; }", r"$'\1'", r"${x:-'}'} \1"),
        *(
            r"[[ \1 ]]",
            r"((\1))",
            r"x=(\1)",
            r"cat <(echo \1)",
            r"echo $(echo \1)",
            r"x) \1",
            r"{a,\1}",
            r"x '\1' $'\''",
            "$(" * 30 + r"\1",
        ),
        *(r"PATH=\1 x", r"export LD_PRELOAD=\1", r"export \1"),
    ],
)
def test_a_capture_is_refused_where_shells_would_read_it_in_two_ways_or_twice(parameter: str) -> None:
    assert "; " in refused(parameter)


@pytest.mark.parametrize("parameter", ["echo 'x", 'echo "x', "echo $(x", "(x", "echo `x", r"echo '\1", r'echo "$(x \1)', r"${x \1"])
def test_what_is_not_closed_is_refused(parameter: str) -> None:
    assert refused(parameter)


def test_a_nul_in_a_command_is_refused() -> None:
    assert "character 3" in refused(r"ab\x00")
    assert "element 2" in refused(["a", r"\x00"])


@pytest.mark.parametrize(
    "parameter",
    [
        *(r"""sh -c 'echo "$1"' sh \1""", r"""sh -c 'echo "$COPROCD_MATCH_1"'""", r"awk -v x=\1 '{ print x }'", r"python3 x.py -o\1"),
        *(r"perl -e 'print @ARGV' \1", r"sudo -n -u bob ls -- \1", r"echo \1 | while read x; do echo; done", r"echo \1 | sed s/a/b/"),
        *(r"export A=\1", r"find . -name \1", r"ssh -p 22 \1", r"ssh \1 uptime", r"bash -x x.sh \1", r"vim +\2 \1", r"[ \1 = x ]"),
    ],
)
def test_a_capture_is_welcome_where_it_is_an_argument(parameter: str) -> None:
    substitution.check_command(parameter)


# -- argv lists -----------------------------------------------------------------------------------------------------


def test_a_capture_in_an_argv_list_stays_in_its_element_with_all_but_nuls() -> None:
    assert substitution.argv(["a", r"b \1", r"\2\n"], [b"", b"x y\x00\x1b\t'", b"\xff"]) == ["a", "b x y\x1b\t'", "\udcff\n"]


def test_an_argv_list_is_judged_as_a_command_is() -> None:
    assert "in element 1 of the parameter" in refused([r"\1", "x"])
    assert "in element 3 of the parameter" in refused(["sh", "-c", r"echo \1"])
    assert "in element 2 of the parameter" in refused(["env", r"x\1"])
    substitution.check_command(["sh", "-c", 'echo "$1"', "sh", r"\1"])
    assert substitution.refusal(["ssh", r"\1"], [b"", b"-oProxyCommand=x"])
    assert substitution.refusal(["ssh", "--", r"\1"], [b"", b"-oProxyCommand=x"]) is None


# -- options --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameter", "runs"),
    [
        (r"ssh \1", False),
        (r"ssh '\1'", False),
        (r'ssh "\1"x', False),
        (r"ssh \2\1", False),
        (r'ssh "$(echo \1)"', False),
        (r'ssh "$empty"\1', False),
        (r"env -- ssh \1", False),
        (r"ssh -- x; ssh \1", False),
        (r"printf \1", False),
        (r"head -\1", False),
        (r"ssh -- \1", True),
        (r"ssh x\1", True),
        (r"echo \1", True),
        (r"printf %s \1", True),
        (r"true \1; : \1", True),
        (r"cat > \1", True),
    ],
)
def test_a_capture_that_begins_with_a_dash_is_no_option(parameter: str, runs: bool) -> None:
    assert (substitution.refusal(parameter, [b"", b"-oProxyCommand=x", b""]) is None) is runs
    assert substitution.refusal(parameter, [b"", b"5", b""]) is None


def test_a_refusal_names_the_capture_and_the_remedy_and_not_what_was_captured() -> None:
    why = substitution.refusal(r"ssh \1", [b"", b"-oProxyCommand=x"])
    assert why is not None and r"\1" in why and "write -- before" in why and "Proxy" not in why


def test_an_editor_takes_a_line_number_and_no_command() -> None:
    assert substitution.refusal(r"vim +\2 \1", [b"", b"a.c", b"12"]) is None
    assert substitution.refusal(r"vim +\2 \1", [b"", b"a.c", b"!x"])
    assert substitution.refusal(r"vim \1", [b"", b"+!x"])


# -- the environment ------------------------------------------------------------------------------------------------


def test_the_environment_has_every_capture_exactly_and_the_line() -> None:
    found = substitution.environment([b"all", "é\x1a\x1b".encode(), None, b"a\x00b"], b"the \xff line")
    assert list(found) == [f"COPROCD_MATCH_{n}" for n in range(10)] + ["COPROCD_LINE"]
    assert [found[f"COPROCD_MATCH_{n}"] for n in range(5)] == ["all", "é\x1a\x1b", "", "ab", ""]
    assert found["COPROCD_LINE"] == "the \udcff line"


@given(st.integers(0, 3))
def test_a_variable_is_cut_at_32_kib_and_not_inside_a_character(ascii_first: int) -> None:
    value = substitution.environment([], b"x" * ascii_first + "€".encode() * 20_000)["COPROCD_LINE"]
    assert substitution.VALUE_MOST_BYTES - 3 < len(value.encode()) <= substitution.VALUE_MOST_BYTES
    assert set(value) <= {"x", "€"}


# -- variables, and parameters of actions ---------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["branch=on \\1", "user.branch=on \\1", "branch\x01on \\1", {"name": "branch", "value": "on \\1"}])
def test_a_user_variable_is_given_in_any_of_its_forms(parameter: substitution.Parameter) -> None:
    assert substitution.variable(parameter, [b"", b"main\x07"]) == ("branch", "on main")


@pytest.mark.parametrize(
    "parameter", ["branch", "=x", "1a=x", r"\1=x", {"name": "a b"}, {"name": "a", "value": 1}, {"value": "x"}, "a b\x01c"]
)
def test_a_user_variable_without_a_good_name_is_refused(parameter: substitution.Parameter) -> None:
    with pytest.raises(CoprocdError, match="variable"):
        substitution.check("set_variable", parameter)


def test_a_parameter_fits_its_action() -> None:
    substitution.check("run_command", ["ls", "--", r"\1"])
    substitution.check("notify", r"done: \1")
    substitution.check("bell", None)
    with pytest.raises(CoprocdError, match="needs a parameter"):
        substitution.check("run_coprocess", None)
    with pytest.raises(CoprocdError, match="is text"):
        substitution.check("send_text", ["a"])
    for parameter in (None, "Stop", r"\1"):
        with pytest.raises(CoprocdError, match="`start` or `stop`"):
            substitution.check("buffer_input", parameter)
    with pytest.raises(CoprocdError, match="not an object"):
        substitution.check("run_command", {"a": 1})


@pytest.mark.parametrize("parameter", [r"printf '\xff'", ["printf", r"\xff"], r"cat '\xe2\x82\xac'"])
def test_a_command_with_bytes_that_no_record_could_hold_is_refused(parameter: str | list[str]) -> None:
    assert "write the character itself" in refused(parameter)


@pytest.mark.parametrize("action", ["stop", "prompt", "mark", "bell"])
def test_an_action_that_takes_no_parameter_refuses_one(action: Action) -> None:
    substitution.check(action, None)
    substitution.check(action, "")
    given: list[Any] = ["loud", r"\1", "-1", "bounce x", ["1"], {"a": "b"}]
    for parameter in given:
        with pytest.raises(CoprocdError, match=f"the action {action} takes no parameter: leave it out"):
            substitution.check(action, parameter)


# -- colours --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "parameter"),
    [
        ("highlight", None), ("highlight", "#A0b1c2"), ("highlight", "bright_cyan"), ("highlight_line", "0"), ("highlight_line", "255"),
        ("highlight", "{red,}"), ("highlight", "{,7}"), ("highlight_line", "{p3#00001111ffff,#000000}"), ("highlight", {"foreground": "red"}),
        ("sgr", "0"), ("sgr", "1;31;4:3"), ("sgr", "38:2::1:2:255"), ("sgr", r"3\1"), ("sgr", "green"), ("sgr", {"background": "#112233"}),
    ],
)  # fmt: skip
def test_colours_have_several_forms(action: Action, parameter: Any) -> None:
    substitution.check(action, parameter)


@pytest.mark.parametrize("action", ["highlight", "highlight_line", "sgr"])
@pytest.mark.parametrize(
    "parameter",
    [
        "reddish", "#12345", "#1234567", "256", "-1", "{red}", "{red,blue,green}", "{,}", "{red, }", r"x\1", "1;300", "RED", " red", "red\n",
        {"colour": "red"}, {"foreground": 1}, {"foreground": "reddish"}, {"foreground": None},
    ],
)  # fmt: skip
def test_what_is_no_colour_is_refused_with_what_to_write(action: Action, parameter: Any) -> None:
    with pytest.raises(CoprocdError, match="or one of black, red, green, yellow, blue, magenta, cyan, white, each also with") as refused:
        substitution.check(action, parameter)
    assert refused.value.code == "invalid_params" and ("codes such as" in refused.value.message) == (action == "sgr")


def test_a_capture_is_no_colour_but_may_be_a_code() -> None:
    substitution.check("sgr", r"\1")
    with pytest.raises(CoprocdError, match="a colour is"):
        substitution.check("highlight", r"\1")
