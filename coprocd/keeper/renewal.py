"""Renewal: the keeper becomes the installed version of itself, in the same process, with everything kept.

What it knows goes into a memory file, its descriptors stay open over exec(2), and its children stay its children. The installed
code is asked first, in a process of its own, whether it starts and can read that file: only then does exec replace this one.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import socket
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from coprocd import __version__
from coprocd.keeper.connection import Client
from coprocd.keeper.holdings import Holding
from coprocd.keeper.register import Entry, Register
from coprocd.keeper.signals import Signals
from coprocd.keeper.supervisor import Supervisor
from coprocd.keeper.wire import Decoder
from coprocd.platform import memory, pipes

if TYPE_CHECKING:
    from coprocd.keeper.process import Keeper

log = logging.getLogger("coprocd.keeper")

LAYOUT = 1
"""The layout of what is handed on. Fields are only added; one that is missing has its default."""

ASK_TIMEOUT_S = 20.0


def command(*options: str) -> list[str]:
    """The installed keeper, as it is started."""
    return [sys.executable, "-P", "-m", "coprocd.keeper", *options]


def renew(keeper: Keeper, asked_by: tuple[Client, Any] | None) -> str:
    """Does not return when it succeeds; else tells why not, and the keeper goes on as it was."""
    why = _refusal()
    if not why:
        fds, memo = _descriptors(keeper), -1
        keeper.signals.hold_back()
        try:
            memo = memory.create("coprocd-keeper", 0)
            with os.fdopen(os.dup(memo), "wb") as file:
                file.write(json.dumps(describe(keeper, asked_by)).encode())
            for fd in (memo, *fds):
                os.set_inheritable(fd, True)
            log.info("the keeper becomes the installed one")
            os.execv(sys.executable, command("--socket", keeper.supervisor.socket_path, "--renewed", str(memo)))
        except OSError as error:
            why = f"the keeper cannot be replaced: {error.strerror}"
            for fd in fds:
                os.set_inheritable(fd, False)
            pipes.close(memo)
            keeper.signals.listen()
    log.error("%s", why)
    return why


def _refusal() -> str:
    """Why the installed code cannot take over; empty when it can."""
    try:
        asked = subprocess.run(
            command("--can-renew", str(LAYOUT)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the installed keeper does not start: {error}"
    if asked.returncode == 0:
        return ""
    said = asked.stderr.strip().splitlines() or [f"exit status {asked.returncode}"]
    return f"the installed keeper cannot take over: {said[-1]}"


def _descriptors(keeper: Keeper) -> list[int]:
    fds = [
        keeper.listener.fileno(),
        keeper.lock,
        *keeper.signals.descriptors,
        *keeper.supervisor.descriptors(),
        *keeper.strays.descriptors(),
    ]
    for client in keeper.clients:
        fds += [client.sock.fileno(), *client.decoder.pending[1]]
    for holding in (*keeper.holdings, *keeper.holdings.jobs.values()):
        fds += holding.fds.values()
    return [fd for fd in fds if fd >= 0]


def describe(keeper: Keeper, asked_by: tuple[Client, Any] | None) -> dict[str, Any]:
    """All that the keeper knows, as JSON has it."""
    dropped = [holding for holding in keeper.holdings.jobs.values() if holding.dropped]
    return {
        "layout": LAYOUT,
        "listener": keeper.listener.fileno(),
        "lock": keeper.lock,
        "open_files": keeper.open_files,
        "holdings": [asdict(holding) for holding in (*keeper.holdings, *dropped)],
        "unclaimed": [asdict(entry) for entry in keeper.unclaimed],
        "clients": [_client(client) for client in keeper.clients],
        "signals": keeper.signals.descriptors,
        "strays": keeper.strays.describe(),
        "asked_by": None if asked_by is None else {"fd": asked_by[0].sock.fileno(), "id": asked_by[1]},
        "supervisor": keeper.supervisor.describe(),
    }


def _client(client: Client) -> dict[str, Any]:
    pending, fds = client.decoder.pending
    return {"fd": client.sock.fileno(), "role": client.role, "pending": base64.b64encode(pending).decode(), "pending_fds": fds}


def resume(memo: int, register_path: str) -> Keeper:
    """The keeper that the process was before, from what it left in `memo`; whoever asked is answered."""
    from coprocd.keeper.process import Keeper

    with os.fdopen(memo, "rb") as file:
        file.seek(0)
        known = json.loads(file.read())
    keeper = Keeper(
        socket.socket(fileno=known["listener"]),
        known["lock"],
        Register(register_path),
        Supervisor.resumed(known["supervisor"]),
        (known["open_files"][0], known["open_files"][1]),
    )
    keeper.unclaimed = [Entry(**entry) for entry in known["unclaimed"]]
    if "signals" in known:
        keeper.signals.close()
        keeper.signals = Signals((known["signals"][0], known["signals"][1]))
    if "strays" in known:
        keeper.strays.resume(known["strays"])
    for fields in known["holdings"]:
        holding = Holding(**{name: value for name, value in fields.items() if name in Holding.__dataclass_fields__})
        if not holding.dropped:
            keeper.holdings.restore(holding)
        if holding.pid is not None and not holding.reaped:
            keeper.holdings.watch(holding, holding.pid)
    for client in known["clients"]:
        decoder = Decoder(base64.b64decode(client["pending"]), client["pending_fds"])
        keeper.clients.append(Client(socket.socket(fileno=client["fd"]), client["role"], decoder))
    for fd in _descriptors(keeper):
        os.set_inheritable(fd, False)
    asked = known["asked_by"]
    if asked is not None:
        for asker in keeper.clients:
            if asker.sock.fileno() == asked["fd"]:
                keeper.send(asker, {"id": asked["id"], "software": __version__})
    return keeper
