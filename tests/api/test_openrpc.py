"""What is derived from the table: the OpenRPC document, and the reference in docs/rpc.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from coprocd.api import openrpc, reference
from coprocd.api.call import Call
from coprocd.api.methods.rpc import discover
from coprocd.protocol.errors import ERRORS
from coprocd.protocol.methods import EVENT_TYPES, METHODS
from coprocd.protocol.parameters import MEANINGS, meaning_of

ROOT = Path(__file__).parents[2]


def references(value: Any) -> set[str]:
    """Every `$ref` in a schema."""
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(references, value.values()))
    if isinstance(value, list):
        return set().union(*map(references, value))
    return set()


async def test_discover_gives_the_whole_table_as_json() -> None:
    document = json.loads(msgspec.json.encode(await discover(Call(None))))
    assert document["openrpc"].startswith("1.3.")
    assert [method["name"] for method in document["methods"]] == list(METHODS)
    assert [event["type"] for event in document["x-events"]] == list(EVENT_TYPES)
    for method in document["methods"]:
        assert method["paramStructure"] == "by-name"
        assert method["summary"]
        assert {"name", "schema"} <= method["result"].keys()
        required = [param["required"] for param in method["params"]]
        assert required == sorted(required, reverse=True)  # OpenRPC: required before optional
        assert all(error["code"] == ERRORS[error["message"]][0] for error in method["errors"])


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = openrpc.document()
    assert references(document) <= {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def test_every_parameter_and_every_field_has_a_meaning() -> None:
    _, components = openrpc.schemas()
    struct_of = {method.params: name for name, method in METHODS.items() if method.params}
    missing = [
        f"{owner}.{field}"
        for owner, schema in components.items()
        for field in schema.get("properties", {})
        if not meaning_of(struct_of.get(owner, owner), field)
    ]
    assert missing == []


def test_no_meaning_is_left_over() -> None:
    _, components = openrpc.schemas()
    fields = {field for schema in components.values() for field in schema.get("properties", {})}
    owners = {*components, *METHODS}
    for name in MEANINGS:
        owner, _, field = name.rpartition(".")
        assert field in fields, name
        assert not owner or owner in owners, name


def test_the_reference_is_what_is_written_from_the_table() -> None:
    assert (ROOT / "docs" / "rpc.md").read_text() == reference.render(), "run: python -m coprocd.api.reference > docs/rpc.md"
