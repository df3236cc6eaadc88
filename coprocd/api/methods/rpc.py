"""`rpc.*`: the API about itself."""

from __future__ import annotations

from typing import Any

from coprocd.api import openrpc
from coprocd.api.call import Call


async def discover(call: Call) -> dict[str, Any]:
    """The OpenRPC document."""
    return openrpc.document()
