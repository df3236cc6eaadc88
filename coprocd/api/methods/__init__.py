"""The methods: one file a namespace, one function a method, named after its verb (`import_`, where that is a word of Python's).

`async def verb(call, params) -> result`, or `async def verb(call)` for a method without params.
"""

from __future__ import annotations

from importlib import import_module
from keyword import iskeyword

from coprocd.api.call import Handler
from coprocd.protocol.methods import METHODS


def handlers() -> dict[str, Handler]:
    """The function of every method in the table; ImportError or AttributeError where one is missing."""
    return {name: _handler(*name.split(".")) for name in METHODS}


def _handler(namespace: str, verb: str) -> Handler:
    handler: Handler = getattr(import_module(f"{__name__}.{namespace}"), f"{verb}_" if iskeyword(verb) else verb)
    return handler
