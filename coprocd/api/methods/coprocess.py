"""`coprocess.*`: the jobs that read what a session prints and type back."""

from __future__ import annotations

from collections.abc import Sequence

from coprocd.api.call import Call
from coprocd.api.methods import session
from coprocd.protocol import objects
from coprocd.protocol.errors import CoprocdError


async def run(call: Call, params: objects.CoprocessRun) -> objects.Coprocess:
    coprocess = await session.found(call, params.session).coprocesses.run(params)
    return coprocess.describe()


async def stop(call: Call, params: objects.CoprocessStop) -> objects.Stopped:
    of = session.found(call, params.session)
    found = of.coprocesses.find(params.name)
    if found is None:
        which = "no coprocess that types runs" if params.name is None else f"no coprocess named {params.name!r} runs"
        raise CoprocdError("no_coprocess", f"{which} in session {of.record.name}; coprocctl coprocess --all shows those there are")
    await found.stop(params.grace_s)
    return objects.Stopped(True)


async def get(call: Call, params: objects.CoprocessGet) -> objects.Coprocess | None:
    found = session.found(call, params.session).coprocesses.last_typing
    return found.describe() if found is not None else None


async def list(call: Call, params: objects.CoprocessList) -> Sequence[objects.Coprocess]:
    sessions = call.daemon.sessions if params.session is None else [session.found(call, params.session)]
    return [coprocess.describe() for one in sessions for coprocess in one.coprocesses]
