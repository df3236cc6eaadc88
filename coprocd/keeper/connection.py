"""Who is connected to the keeper: the daemon, or somebody who wants it started."""

from __future__ import annotations

import socket

from coprocd.keeper import wire


class Client:
    """One connection; `role` is empty until it has said hello."""

    def __init__(self, sock: socket.socket, role: str = "", decoder: wire.Decoder | None = None) -> None:
        self.sock = sock
        self.decoder = decoder or wire.Decoder()
        self.role = role
