"""`prompt.*`: questions to the person who is attached to a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coprocd.api.call import Call
from coprocd.api.methods import session
from coprocd.protocol import objects

if TYPE_CHECKING:
    from coprocd.runtime.prompts import Prompts


async def ask(call: Call, params: objects.PromptAsk) -> objects.PromptValue:
    return objects.PromptValue(await _prompts(call).ask(session.found(call, params.session), params.kind, params.message, params.timeout_s))


async def answer(call: Call, params: objects.PromptAnswer) -> objects.Nothing:
    _prompts(call).answer(params.prompt, params.value)
    return objects.Nothing()


def _prompts(call: Call) -> Prompts:
    prompts: Prompts = call.daemon.sessions.context.prompts
    return prompts
