"""What is not documented does not pass: methods, settings, commands and their options, and links that lead nowhere."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from coprocctl.arguments import command_parser
from coprocctl.commands import module_name, rows

from coprocd.core.iterm2 import action_named
from coprocd.protocol.environment import OUTER
from coprocd.protocol.errors import ERRORS
from coprocd.protocol.methods import EVENT_TYPES, METHODS
from coprocd.protocol.objects import Action, Attach, AttachAck, AttachDetach, AttachRedraw, AttachResize, CoprocessConnect
from coprocd.settings import SessionSettings, Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]+))?\)")


def page(name: str) -> str:
    return (ROOT / name).read_text()


def anchors(text: str) -> set[str]:
    """The anchors of the headings of a page, as forges make them: lower case, blanks to dashes, all other punctuation gone."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_rpc_reference_is_what_the_table_generates() -> None:
    generated = subprocess.run([sys.executable, "-m", "coprocd.api.reference"], capture_output=True, text=True, check=True).stdout
    assert page("docs/rpc.md") == generated


@pytest.mark.parametrize("name", [*METHODS, *EVENT_TYPES, *ERRORS])
def test_every_method_event_and_error_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in page("docs/rpc.md")


LIMITS = [field for field in msgspec.structs.fields(Settings) if field.name != "sessions"]
SETTINGS = [*LIMITS, *msgspec.structs.fields(SessionSettings)]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_described_with_its_default(setting: msgspec.structs.FieldInfo) -> None:
    default = str(setting.default).lower()
    assert f"| `{setting.name}` | {default} | " in page("docs/settings.md")


@pytest.mark.parametrize("name", sorted(OUTER))
def test_every_variable_that_a_session_does_not_inherit_is_named(name: str) -> None:
    families = (r"\bWATCHDOG_", r"\bLISTEN_", r"\bMEMORY_PRESSURE_", r"_DIRECTORY$")
    shown = page("docs/environment.md")
    assert f"`{name}`" in shown or any(re.search(family, name) for family in families)


def test_no_setting_is_described_that_is_none() -> None:
    assert re.findall(r"^\| `(\w+)` \| \S+ \| ", page("docs/settings.md"), re.M) == [setting.name for setting in SETTINGS]


def quantity(text: str) -> float:
    """The number that a page gives as `1 MiB`, `0.2 s`, `1 h`, or `10,000`."""
    found = re.match(r"([\d.,]*\d)(?: (KiB|MiB|GiB|s|h)\b)?", text)
    units = {None: 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": 1, "h": 3600}
    assert found, text
    return float(found[1].replace(",", "")) * units[found[2]]


def test_defaults_are_the_same_in_words_and_on_every_page() -> None:
    """`1 MiB` beside 1048576, and `name`: 1 MiB in the table of the buffers."""
    defaults = {setting.name: setting.default for setting in msgspec.structs.fields(Settings)}
    in_words = re.findall(r"^\| `(\w+_bytes)` \| \d+ \| [^|]*?(\d+ [KMG]iB)", page("docs/settings.md"), re.M)
    on_pages = [found for document in PAGES for found in re.findall(r"`(\w+)`: (\d[\d.,]*(?: \w+)?)", document.read_text())]
    said = [(name, text) for name, text in in_words + on_pages if name in defaults]
    assert len(said) > 15
    assert [(name, text) for name, text in said if quantity(text) != defaults[name]] == []


@pytest.mark.parametrize("setting", LIMITS, ids=lambda setting: setting.name)
def test_bounds_of_a_setting_are_those_of_the_code(setting: msgspec.structs.FieldInfo) -> None:
    (line,) = re.findall(rf"^\| `{setting.name}` .*$", page("docs/settings.md"), re.M)
    described = re.search(r"([\d,]+) to (\d+ [KMG]iB)", line)
    schema = msgspec.json.schema(setting.type)
    if described:
        assert (schema["minimum"], schema["maximum"]) == (quantity(described[1]), quantity(described[2]))
    else:  # what anybody would expect of a number, or a count
        assert schema.get("minimum", 0) <= 1 and "maximum" not in schema


def test_every_action_is_in_the_table_with_classes_that_an_import_knows() -> None:
    table = page("docs/triggers.md").split("## Actions")[1].split("\n## ")[0]
    described = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| .* \| ([^|]+) \|$", table, re.M)
    assert sorted(action for cells, _ in described for action in re.findall(r"\w+", cells)) == sorted(get_args(Action))
    for cells, classes in described:
        assert {action_named(name) for name in classes.split(", ")} == set(re.findall(r"\w+", cells))


def test_every_module_of_the_runtime_has_its_place_in_the_architecture() -> None:
    table = page("docs/architecture.md").partition("Inside `runtime`")[2].partition("\n\nThe table in")[0]
    modules = {path.stem for path in (ROOT / "coprocd/runtime").glob("*.py")} - {"__init__"}
    assert set(re.findall(r"`(\w+)`", table)) - {"runtime"} == modules


def test_every_message_of_the_attach_stream_is_described_and_no_other() -> None:
    described = page("docs/attach.md")
    sources = [ROOT / "coprocd/api/attach.py", *(ROOT / f"coprocd/runtime/{name}.py" for name in ("viewer", "viewers", "prompts"))]
    sent = set(re.findall(r'"type": "(\w+)"', "".join(source.read_text() for source in sources))) | {"coprocess", "paused"}
    table = described.partition("## What comes")[2].partition("## What you send")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == sent
    taken = {str(control.__struct_config__.tag) for control in (AttachResize, AttachAck, AttachRedraw, AttachDetach)}
    table = described.partition("## What you send")[2].partition("## Resume")[0]
    assert set(re.findall(r'^\| `\{"type": "(\w+)"', table, re.M)) == taken


def test_every_query_of_a_websocket_is_described_and_no_other() -> None:
    for document, heading, kind in (("attach.md", "# The attach stream", Attach), ("coprocesses.md", "## Connections", CoprocessConnect)):
        table = page(f"docs/{document}").partition(heading)[2].partition("| query |")[2].partition("\n\n")[0]
        names = [name for cell in re.findall(r"^\| (`[^|]*`) \|", table, re.M) for name in re.findall(r"`(\w+)`", cell)]
        assert sorted(names) == sorted(kind.__struct_encode_fields__), document


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_command_is_described_with_its_aliases_and_options(row: tuple[str, tuple[str, ...], str]) -> None:
    name, aliases, summary = row
    listed = f"| [`{name}`](#{name.replace(' ', '-')}){''.join(f', `{alias}`' for alias in aliases)} | {summary} |"
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", page("docs/commands.md"), re.M | re.S)
    assert listed in page("docs/commands.md") and section
    parser = command_parser(name, summary)
    import_module(module_name(name)).arguments(parser)
    options = {option for action in parser._actions for option in action.option_strings}
    assert {option for option in options if option not in section[1]} == set()


@pytest.mark.parametrize("document", PAGES, ids=lambda document: str(document.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    for path, anchor in LINK.findall(document.read_text()):
        target = document.parent / path if path else document
        assert target.exists(), path
        if anchor and document.name != "rpc.md":
            assert anchor in anchors(target.read_text()), f"{path}#{anchor}"


def test_every_decision_can_be_reached_from_another_page() -> None:
    linked = {(document.parent / path).resolve() for document in PAGES for path, _ in LINK.findall(document.read_text()) if path}
    folders = {path for path in linked if path.is_dir()}
    decisions = (ROOT / "docs/decisions").glob("*.md")
    assert [decision.name for decision in decisions if decision not in linked and decision.parent not in folders] == []


def test_the_readme_gives_one_line_that_installs_and_shows_the_main_job() -> None:
    assert re.search(r"```sh\n.*pip install -q \. && \.venv/bin/coprocctl demo\n```", page("README.md"))


def test_the_readme_gives_one_line_that_runs_the_tests() -> None:
    found = re.search(r"<!-- tests -->\n```sh\n(.+)\n```", page("README.md"))
    assert found and re.search(r" && \.venv/bin/pytest( -n \d --dist loadfile --no-loadscope-reorder)?$", found[1])


def test_the_readme_can_be_read_at_a_sitting() -> None:
    assert page("README.md").count("\n") <= 120
