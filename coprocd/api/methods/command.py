"""`command.*`: the jobs that triggers start apart from their session."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from coprocd.api.call import Call
from coprocd.api.methods import session
from coprocd.protocol import objects
from coprocd.runtime.command import TOLD_CHARACTERS

if TYPE_CHECKING:
    from coprocd.runtime.command import Command


async def list(call: Call, params: objects.CommandList) -> Sequence[objects.Command]:
    of = None if params.session is None else session.found(call, params.session).id
    return [command.describe(TOLD_CHARACTERS) for command in call.daemon.sessions.commands.list(of)]


async def get(call: Call, params: objects.CommandGet) -> objects.Command:
    return _found(call, params.command_id).describe()


async def wait(call: Call, params: objects.CommandWait) -> objects.Command:
    command = _found(call, params.command_id)
    await asyncio.wait([command.ended], timeout=params.timeout_s)
    return command.describe()


def _found(call: Call, command_id: str) -> Command:
    command: Command = call.daemon.sessions.commands.find(command_id)
    return command
