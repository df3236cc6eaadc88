"""Edits of the triggers in the text of a config.toml, in which comments, order and formatting are the user's.

    text → blocks, a header and what follows it each → the blocks of one trigger are changed, moved or taken out → text

Comments and blank lines before a header go with it. tomlkit does the inside of a block, and all where triggers stand in an inline
array. Whatever was done, the result is parsed and compared with what was meant, and no comment may be missing: an edit that goes
wrong is refused, and never a file made worse. Knows no triggers, only their tables; called by `runtime.profiles` alone.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, NamedTuple

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Item

from coprocd.protocol.errors import CoprocdError

Fields = Mapping[str, Any]
"""Of a trigger's table; None takes a field out."""

_TOKEN = re.compile(
    r"""'''[\s\S]*?'{3,5}|\"{3}(?:[^\\]|\\[\s\S])*?\"{3,5}|'[^'\n]*'|"(?:[^"\\\n]|\\.)*"|\#[^\n]*|[\[\]{}\n]""",
)


class _Block(NamedTuple):
    """`lead`: the blank lines and comments before the header, `body`: the header and what belongs to it."""

    path: tuple[str, ...]
    lead: str
    body: str


def add(text: str, profile: str, position: int | None, entries: list[Fields]) -> str:
    """The text with triggers put before the one at `position`; at the end of the profile's, where it is None or past them."""
    meant = _data(text)
    triggers = _triggers(meant, profile)
    index = len(triggers) if position is None else min(position, len(triggers))
    triggers[index:index] = [_present(entry) for entry in entries]
    if _inline(text, profile):
        document = _parsed(text)
        array = document["profiles"][profile]["triggers"]
        for number, entry in enumerate(entries):
            array.insert(index + number, _table(_present(entry), inline=True))
        return _checked(text, document.as_string(), meant)
    blocks, tail = _blocks(text)
    made = [_new_block(profile, _present(entry)) for entry in entries]
    found = _spans(blocks, profile)
    if not found:
        before = _joined(blocks, tail)
        gap = "" if not before or before.endswith("\n\n") else "\n" if before.endswith("\n") else "\n\n"
        made[0] = made[0]._replace(lead=gap)
        return _checked(text, before + _joined(made, ""), meant)
    at = found[index][0] if index < len(found) else found[-1][1]
    if index == 0 and not blocks[at].lead:  # the file began with it
        made[0], blocks[at] = made[0]._replace(lead=""), blocks[at]._replace(lead="\n")
    return _checked(text, _joined([*blocks[:at], *made, *blocks[at:]], tail), meant)


def update(text: str, profile: str, index: int, fields: Fields, position: int | None = None) -> str:
    """The text with fields of the trigger at `index` changed; and with it at `position`, where one is given."""
    meant = _data(text)
    triggers = _triggers(meant, profile)
    changed = triggers.pop(index)
    target = index if position is None else min(position, len(triggers))
    triggers.insert(target, _present({**changed, **fields}))
    if _inline(text, profile):
        document = _parsed(text)
        array = document["profiles"][profile]["triggers"]
        table = array[index]
        _change(table, changed, fields, inline=True)
        if target != index:
            del array[index]
            array.insert(target, table)
        return _checked(text, document.as_string(), meant)
    blocks, tail = _blocks(text)
    start, end = _span(blocks, profile, index)
    own = blocks[start:end]
    document = _parsed(own[0].body + "".join(block.lead + block.body for block in own[1:]))
    _change(document["profiles"][profile]["triggers"][0], changed, fields, inline=False)
    whole = _Block(own[0].path, own[0].lead, document.as_string())
    rest = blocks[:start] + blocks[end:]
    others = _spans(rest, profile)
    at = start if target == index else others[target][0] if target < len(others) else others[-1][1]
    if target != index:  # at the start of a file there is no blank line
        whole = whole._replace(lead=whole.lead or "\n")
    return _checked(text, _joined([*rest[:at], whole, *rest[at:]], tail), meant)


def remove(text: str, profile: str, index: int) -> str:
    """The text without the trigger at `index`, and without the comment right above it; what a blank line parts from it stays."""
    meant = _data(text)
    del _triggers(meant, profile)[index]
    if _inline(text, profile):
        document = _parsed(text)
        del document["profiles"][profile]["triggers"][index]
        return _checked(text, document.as_string(), meant, comments=False)
    blocks, tail = _blocks(text)
    start, end = _span(blocks, profile, index)
    kept = _paragraphs_before(blocks[start].lead)
    rest = blocks[end:]
    following = rest[0].lead if rest else tail
    if kept and following.strip(" \t") and not following.lstrip(" \t").startswith(("\n", "\r\n")):
        kept += "\n"
    following = kept + following if kept or start else following.lstrip("\r\n")
    if rest:
        rest[0] = rest[0]._replace(lead=following)
    else:
        tail = following
    return _checked(text, _joined([*blocks[:start], *rest], tail), meant, comments=False)


def _blocks(text: str) -> tuple[list[_Block], str]:
    """The blocks of a text that is TOML, and the comments after the last. What stands before the first header is one without a path."""
    blocks: list[_Block] = []
    path, lead, body, loose = (), "", "", ""  # type: tuple[str, ...], str, str, str
    for statement in _statements(text):
        bare = statement.strip()
        if not bare or bare.startswith("#"):
            loose += statement
        elif bare.startswith("["):
            attached, loose = _attached(loose, body)
            if body or attached:
                blocks.append(_Block(path, lead, body + attached))
            path, lead, body, loose = _header(bare), loose, statement, ""
        else:
            body, loose = body + loose + statement, ""
    attached, loose = _attached(loose, body)
    if body or attached:
        blocks.append(_Block(path, lead, body + attached))
    return blocks, loose


def _attached(loose: str, body: str) -> tuple[str, str]:
    """Of the comments after a block, those that are still its own, since a blank line parts them from what follows; and the rest."""
    lines = loose.splitlines(keepends=True)
    blank = next((number for number, line in enumerate(lines) if not line.strip()), None)
    if not body or not blank:
        return "", loose
    return "".join(lines[:blank]), "".join(lines[blank:])


def _statements(text: str) -> list[str]:
    """The lines of a text that is TOML; those that a text or an array goes over are one."""
    found, start, depth = [], 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth == 0:
            found.append(text[start : token.end()])
            start = token.end()
    return [*found, text[start:]] if start < len(text) else found


def _header(line: str) -> tuple[str, ...]:
    """The names in a header."""
    names, here = [], tomllib.loads(line)
    while here:
        name, here = next(iter(here.items()))
        names.append(name)
        here = here[0] if isinstance(here, list) else here
    return tuple(names)


def _joined(blocks: list[_Block], tail: str) -> str:
    """The text of blocks, in which the last line of each is ended."""
    parts = [part for block in blocks for part in (block.lead, block.body)] + [tail]
    return "".join(
        part if not part or part.endswith("\n") or number == len(parts) - 1 else part + "\n" for number, part in enumerate(parts)
    )


def _spans(blocks: list[_Block], profile: str) -> list[tuple[int, int]]:
    """Where the triggers of a profile begin and end among the blocks: a header, and those of the tables in it."""
    path, spans = ("profiles", profile, "triggers"), []
    for number, block in enumerate(blocks):
        if block.path == path:
            end = number + 1
            while end < len(blocks) and len(blocks[end].path) > len(path) and blocks[end].path[: len(path)] == path:
                end += 1
            spans.append((number, end))
    return spans


def _span(blocks: list[_Block], profile: str, index: int) -> tuple[int, int]:
    spans = _spans(blocks, profile)
    if index >= len(spans):
        raise _refused()
    return spans[index]


def _paragraphs_before(lead: str) -> str:
    """The comments before a header that a blank line parts from it."""
    lines = lead.splitlines(keepends=True)
    while lines and lines[-1].strip():
        lines.pop()
    while lines and not lines[-1].strip():
        lines.pop()
    return "".join(lines)


def _new_block(profile: str, fields: Fields) -> _Block:
    header = ".".join(tomlkit.key(name).as_string() for name in ("profiles", profile, "triggers"))
    return _Block(("profiles", profile, "triggers"), "\n", f"[[{header}]]\n{_table(fields, inline=False).as_string()}")


def _table(fields: Fields, inline: bool) -> Any:
    """A trigger's table as tomlkit has it."""
    table: Any = tomlkit.inline_table() if inline else tomlkit.table()
    for name, value in fields.items():
        table.append(name, _value(value, name == "regex"))
    return table


def _change(table: Any, before: Fields, fields: Fields, inline: bool) -> None:
    """Changes the fields of a trigger's table whose values are others."""
    for name, value in fields.items():
        if value is None:
            if name in before:
                del table[name]
        elif name not in before or before[name] != value or type(before[name]) is not type(value):
            if isinstance(before.get(name), dict):  # a table of its own, perhaps with a header
                del table[name]
            table[name] = _value(value, name == "regex")


def _value(value: Any, pattern: bool = False) -> Item:
    """A value as it is written: a regex without its backslashes doubled, tables on one line."""
    if isinstance(value, dict):
        table: Item = _table(value, inline=True)
        return table
    if pattern and "\\" in value and "'" not in value and value.isprintable():
        return tomlkit.string(value, literal=True)
    try:
        item: Item = tomlkit.item(value)
    except (TOMLKitError, ValueError) as error:  # null, above all
        raise CoprocdError("invalid_params", f"config.toml cannot hold {value!r}, of a table of a trigger") from error
    return item


def _inline(text: str, profile: str) -> bool:
    """Whether the triggers of a profile stand in one array, not each under a header."""
    blocks, _ = _blocks(text)
    return bool(_present_in(_data(text), profile)) and not _spans(blocks, profile)


def _present_in(document: dict[str, Any], profile: str) -> bool:
    return "triggers" in document.get("profiles", {}).get(profile, {})


def _triggers(document: dict[str, Any], profile: str) -> list[Any]:
    """The triggers of a profile, made where there are none."""
    found: list[Any] = document.setdefault("profiles", {}).setdefault(profile, {}).setdefault("triggers", [])
    return found


def _present(fields: Fields) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _data(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except (TOMLKitError, RecursionError) as error:
        raise _refused() from error


def _checked(before: str, after: str, meant: dict[str, Any], comments: bool = True) -> str:
    """The edited text, when it says what was meant and has lost no comment."""
    try:
        said = _data(after)
    except ValueError as error:
        raise _refused() from error
    if not _same(said, meant) or (comments and _comments(after) != _comments(before)):
        raise _refused()
    return after


def _same(said: dict[str, Any], meant: dict[str, Any]) -> bool:
    """Whether two files say the same; a profile without triggers is none."""
    return _without_empty(said) == _without_empty(meant)


def _without_empty(document: dict[str, Any]) -> dict[str, Any]:
    profiles = {name: content for name, content in document.get("profiles", {}).items() if content not in ({}, {"triggers": []})}
    return {name: value for name, value in document.items() if name != "profiles"} | {"profiles": profiles}


def _comments(text: str) -> list[str]:
    return sorted(token[0].rstrip() for token in _TOKEN.finditer(text) if token[0].startswith("#"))


def _refused() -> CoprocdError:
    return CoprocdError(
        "invalid_params",
        "the triggers stand in a way that cannot be edited without harm to the file; write them by hand, as [[profiles.NAME.triggers]]",
    )
