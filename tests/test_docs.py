"""What is not documented does not pass: methods, settings, commands, and links that lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from coprocctl.commands import rows

from coprocd.protocol.methods import EVENT_TYPES, METHODS
from coprocd.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_rpc_reference_is_what_the_table_generates() -> None:
    generated = subprocess.run([sys.executable, "-m", "coprocd.api.reference"], capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs/rpc.md").read_text() == generated


@pytest.mark.parametrize("name", [*METHODS, *EVENT_TYPES])
def test_every_method_and_event_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs/rpc.md").read_text()


@pytest.mark.parametrize("setting", [field.name for field in msgspec.structs.fields(Settings)])
def test_every_setting_is_described(setting: str) -> None:
    assert f"`{setting}`" in (ROOT / "docs/settings.md").read_text()


@pytest.mark.parametrize("command", [name for name, _, _ in rows()])
def test_every_command_is_described(command: str) -> None:
    assert re.search(rf"^## `?{command}`?", (ROOT / "docs/commands.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readme_gives_one_line_that_runs_the_tests() -> None:
    found = re.search(r"<!-- tests -->\n```sh\n(.+)\n```", (ROOT / "README.md").read_text())
    assert found and found[1].endswith(".venv/bin/pytest")
