"""What is wrong with params, in words.

msgspec says it well, but where a pattern decides: it would show the regular expression. There the field's description says
what it may be, and the value is shown, escaped and cut. Nor does it say which words there are where one of a few is wanted.
Called by binding alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

_OF_TEXT = re.compile(r"Expected `str` (?:matching|of length) .* - at `\$\.([\w.]+)`\Z", re.S)
_OF_WORDS = re.compile(r"Invalid enum value .* - at `\$\.([\w.]+)`\Z", re.S)
_SHOWN_MOST = 60
"""Characters of a value in a message: it is recognised by less."""


def reason(error: Exception, raw: Any, params_type: type[msgspec.Struct]) -> str:
    """Why `raw` is no `params_type`, as `error` of msgspec's says."""
    if not isinstance(error, msgspec.ValidationError):
        return "nested too deeply"
    found = _OF_TEXT.match(str(error)) or _OF_WORDS.match(str(error))
    if found is None:
        return str(error)
    path = found[1].split(".")
    description = next(_descriptions(inspect.type_info(params_type), path, ""), None)
    if description is None:
        return str(error)
    for name in path:
        raw = raw[name]
    return f"`{found[1]}` cannot be {_shown(raw)}; it may be: {description}"


def _descriptions(type_: inspect.Type, path: list[str], description: str) -> Iterator[str]:
    """What may stand at `path` of `type_`: descriptions of texts with a pattern, and lists of words."""
    if isinstance(type_, inspect.Metadata):
        yield from _descriptions(type_.type, path, (type_.extra_json_schema or {}).get("description", description))
    elif isinstance(type_, inspect.UnionType):
        for one in type_.types:
            yield from _descriptions(one, path, description)
    elif isinstance(type_, inspect.StructType) and path:
        for field in type_.fields:
            if field.encode_name == path[0]:
                yield from _descriptions(field.type, path[1:], "")
    elif isinstance(type_, inspect.LiteralType) and not path:
        yield ", ".join(str(word) for word in type_.values)
    elif isinstance(type_, inspect.StrType) and not path and type_.pattern is not None and description:
        yield description


def _shown(value: str) -> str:
    """A value in quotes, with what does not print escaped."""
    if len(value) > _SHOWN_MOST:
        return f"{value[:_SHOWN_MOST]!r}… ({len(value)} characters)"
    return repr(value)
