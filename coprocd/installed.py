"""The installed version, which may not be the running one: asked, in a process of its own, before this daemon makes way for it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping

from coprocd.protocol.errors import CoprocdError

ASK_TIMEOUT_S = 20.0


async def version(found: Mapping[str, Iterable[int]]) -> str:
    """The installed version, which starts, accepts the settings and reads the layouts `found`; else `version_mismatch` says what not."""
    layouts = json.dumps({kind: sorted(numbers) for kind, numbers in found.items()})
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "coprocd", "--can-take-over", layouts),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            said, complained = await asked.communicate()
    except TimeoutError:
        asked.kill()
        await asked.wait()
        raise _refused(f"does not answer within {ASK_TIMEOUT_S:g} s") from None
    if asked.returncode != 0:
        lines = complained.decode(errors="replace").strip().splitlines() or [f"exit status {asked.returncode}"]
        raise _refused(f"cannot take over: {lines[-1]}")
    return said.decode().strip()


def _refused(why: str) -> CoprocdError:
    return CoprocdError(
        "version_mismatch",
        f"the installed coprocd {why}; this daemon goes on and nothing was harmed: install a version that can, or correct what it names",
    )
