"""What a session prints, captured and given to the real /bin/sh: nothing but the configured command runs, and a capture is data.

Each run has a payload of its own in a template of its turn; the payloads that run commands would make the canary.
"""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from coprocd.core import substitution
from coprocd.protocol.errors import CoprocdError

SEED = 20240717
COUNT = 540

# Commands in which f holds \1 exactly.
EXACT = [
    r"printf %s '\1' > f",
    r'printf %s "\1" > f',
    r"printf %s \1 > f",
    r"""printf %s '\1' > "$(printf %s f)" """,
    r"""x="$(printf %s '\1'; echo .)"; printf %s "${x%.}" > f""",
    r"if true; then { (printf %s \1) ; } > f; else \t:; fi # isn't \1",
    r"""sh -c 'printf %s "$1" > f' -- \1""",
    r"""sh -c 'printf %s "$COPROCD_MATCH_1" > f'; : \0 \2 \9""",
    r"env -u x x=\1 sh -c 'printf %s $x > f' 2>&1 </dev/null; printf %s '\1' > f",
    "cd . &&\\\n printf %s \\\n\\1 >f",
]
# Commands in which it stands among other text.
AROUND = [
    (r"printf %s 'a'\1\"b\" > f", "a{}\"b\""),
    (r"printf %s \'\1\' > f", "'{}'"),
    (r"""printf %s "\$\"'\1'\`" > f""", "$\"'{}'`"),
]  # fmt: skip
TEMPLATES = [(template, "{}") for template in EXACT] + AROUND

ATOMS = [
    "; touch CANARY;", "$(touch CANARY)", "`touch CANARY`", "'; touch CANARY; '", '"; touch CANARY; "', "\ntouch CANARY\n", "| touch CANARY",
    "&& touch CANARY", "& touch CANARY &", "\\'; touch CANARY #", '\\"; touch CANARY #', "${x:=`touch CANARY`}", "$((x[$(touch CANARY)]))",
    ")\ntouch CANARY\n(", "}; touch CANARY; {", "\" ; $(touch CANARY) ; '", "<(touch CANARY)", "'\"'\"'; touch CANARY; '", "> CANARY",
    "-oProxyCommand=touch CANARY", "--", "-", "\\1", "\\0\\n", "\\x27; touch CANARY #", "${COPROCD_MATCH_0}", "$COPROCD_LINE", "*", "?", "[a-z]*", "~",
    "{a,b}", "!x", "#", "%s%n", "\t", "\r", "\x1b]0;x\x07", "\x01\x02\x7f", "\x9b31m", "\u202ereversed\u2069", "é€𐍈", "\x1a", "a b  c", "'", '"', "\\", "\\\n",
    "$", "`", "\n", "x" * 3000, "EOF\ntouch CANARY\n", "$'\\'", "\udcff\udcc3",
]  # fmt: skip


def payloads(canary: Path) -> list[str]:
    """COUNT different ones, the same for a seed: each of ATOMS alone, and mixtures."""
    seed, found = random.Random(SEED), dict.fromkeys(ATOMS)
    while len(found) < COUNT:
        found["".join(seed.choice(ATOMS) for _ in range(seed.randint(2, 5)))] = None
    return [payload.replace("CANARY", str(canary)) for payload in found]


def run(template: str, payload: str, directory: Path) -> str | None:
    """What f holds afterwards; None where the command was refused because of the capture."""
    captured = payload.encode(errors="surrogateescape")
    groups = [b"a " + captured, captured, b"other"]
    if substitution.refusal(template, groups) is not None:
        return None
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", **substitution.environment(groups, groups[0])}
    subprocess.run(
        ["/bin/sh", "-c", substitution.command(template, groups)], cwd=directory, env=environment, stderr=subprocess.DEVNULL, timeout=20
    )
    return (directory / "f").read_bytes().decode(errors="surrogateescape")


def test_no_payload_in_any_template_runs_anything_or_loses_a_byte(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    work = tmp_path / "work"
    work.mkdir()
    (work / "other file").touch()
    for number, payload in enumerate(payloads(canary)):
        template, shape = TEMPLATES[number % len(TEMPLATES)]
        assert run(template, payload, work) == shape.format(payload), (template, payload)
        (work / "f").unlink()
        assert not canary.exists(), (template, payload)
    assert sorted(path.name for path in work.iterdir()) == ["other file"]


FRAGMENTS = [
    "\\1", "\\1", " ", "echo ", "'", '"', "$(", ")", ";", "|", "&&", "(", "{ ", "; }", "if ", "; then ", "; fi", "! ", "x=", "env ", "\n", "\\\\", "#",
    "$", "`", ">f ", "2", "<", "do ", "for x in a; ", "for x ", "done", "time ", "exec ", "command ", "nice ", "&", "true ", "\\\n", "while ", "break;",
    "eval ", "sh ", "-c ", "case x in x) ", ";; esac", "xargs ", "cat ", "$x ", "${x}", "f() ", "f ", "-- ", "-n ", "5 ", "timeout ", "<<E\n", "a", "=", "~", "((",
]  # fmt: skip


def test_whatever_command_is_accepted_runs_nothing_that_was_captured(tmp_path: Path) -> None:
    """Commands put together by chance; the capture is the name of a program, or shell code. Most are no commands: a few hundred are."""
    seed, ran = random.Random(SEED), 0
    program, canary, work = tmp_path / "program", tmp_path / "canary", tmp_path / "work"
    work.mkdir()
    while ran < 300:
        template = "".join(seed.choice(FRAGMENTS) for _ in range(seed.randint(2, 9))) + " \\1" * seed.randint(0, 1)
        groups = [b"", seed.choice([str(program), f"; {program}", f"$({program})"]).encode()]
        try:
            command = substitution.command(template, groups)
        except CoprocdError:
            continue
        if substitution.refusal(template, groups) is None:
            program.write_text(f"#!/bin/sh\ntouch {canary}\n")  # again: `> \\1` may have emptied it
            program.chmod(0o755)
            environment = {"PATH": os.defpath, **substitution.environment(groups, b"")}
            done = subprocess.run(
                ["/bin/sh", "-c", command], cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=20
            )
            ran += done.returncode == 0
            assert not canary.exists(), (template, command)


def test_a_command_that_pasted_its_capture_would_be_seen_here(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hit = 0
    for payload in ATOMS[:16]:
        pasted = "printf %s '\\1' >/dev/null; echo \\1".replace("\\1", payload.replace("CANARY", str(canary)))
        subprocess.run(["/bin/sh", "-c", pasted], cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
        hit += canary.exists()
        canary.unlink(missing_ok=True)
    assert hit > 8


@pytest.mark.parametrize("payload", [atom for atom in ATOMS if atom.startswith("-")])
def test_a_capture_that_looks_like_an_option_does_not_reach_a_program_that_takes_some(payload: str, tmp_path: Path) -> None:
    assert run(r"cat \1 > f", payload, tmp_path) is None
    assert not (tmp_path / "f").exists()


def test_a_very_long_capture_is_given_up_to_its_bound(tmp_path: Path) -> None:
    payload = "'$(x)" * 200_000
    assert run(r"printf %s '\1' > f", payload, tmp_path) == payload[: substitution.VALUE_MOST_BYTES]


def test_an_argv_list_gives_each_payload_as_one_argument(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for payload in payloads(canary)[: len(ATOMS)]:
        argv = substitution.argv(["printf", "%s", r"<\1>"], [b"", payload.encode(errors="surrogateescape")])
        assert subprocess.run(argv, capture_output=True, timeout=20).stdout.decode(errors="surrogateescape") == f"<{payload}>"
        assert not canary.exists()
