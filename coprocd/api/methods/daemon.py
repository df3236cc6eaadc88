"""`daemon.*`: the daemon about itself, and its end."""

from __future__ import annotations

from coprocd.api.call import Call
from coprocd.protocol import objects


async def info(call: Call) -> objects.DaemonInfo:
    described: objects.DaemonInfo = call.daemon.describe()
    return described


async def reload(call: Call) -> objects.Reloaded:
    return objects.Reloaded(await call.daemon.profiles.reload())


async def restart(call: Call, params: objects.DaemonRestart) -> objects.DaemonInfo:
    """Answers with what it was, then ends; the keeper starts the installed one, which was asked before whether it can take over."""
    await call.daemon.make_way(params.keeper)
    call.after.append(call.daemon.end)
    return await info(call)


async def shutdown(call: Call, params: objects.DaemonShutdown) -> objects.ShutdownReport:
    """Answers when the keeper knows, then ends."""
    sessions = await call.daemon.retire(params.sessions)
    call.after.append(call.daemon.end)
    return objects.ShutdownReport(sessions)
