"""`coprocd-keeper`: becomes the keeper for a socket, or asks the one that is there to start its daemon."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys

from coprocd.keeper import wire
from coprocd.keeper.process import Keeper, claim, raise_open_files
from coprocd.keeper.supervisor import Supervisor
from coprocd.platform import directories
from coprocd.protocol import places
from coprocd.protocol.errors import CoprocdError

CLAIM_TIMEOUT_S = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="coprocd-keeper", description="Holds the sessions of coprocd and starts its daemon.")
    parser.add_argument("--socket", default=places.socket_path(), help="the daemon's socket (default: %(default)s)")
    parser.add_argument("--status-fd", type=int, help="where to write READY, or why there is no daemon")
    args = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(name)s[%(process)d] %(levelname)s %(message)s", level=logging.INFO)
    path = places.keeper_socket_path(args.socket)
    try:
        directories.make_private(os.path.dirname(path))
        if _ask_running(path, args.status_fd):
            return 0
        claimed = claim(path, CLAIM_TIMEOUT_S)
        if claimed is None:
            if _ask_running(path, args.status_fd):
                return 0
            raise CoprocdError("resource_exhausted", f"another keeper holds {path}.lock, but does not answer on {path}")
    except (CoprocdError, OSError, wire.WireError) as error:
        print(error, file=sys.stderr)
        if args.status_fd is not None:
            os.write(args.status_fd, f"{error}\n".encode())
        return 1
    listener, _ = claimed
    open_files = raise_open_files()
    if args.status_fd is not None:
        os.set_inheritable(args.status_fd, False)
    supervisor = Supervisor(args.socket)
    supervisor.start(args.status_fd)
    Keeper(listener, supervisor, open_files).run()
    os.unlink(path)
    return 0


def _ask_running(path: str, status_fd: int | None) -> bool:
    """Asks a keeper that answers at `path` to start its daemon; False when none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(CLAIM_TIMEOUT_S)
        try:
            sock.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        wire.send(sock, wire.greeting("starter"))
        wire.send(sock, {"op": "start", "id": 1}, () if status_fd is None else (status_fd,))
        decoder, answered = wire.Decoder(), 0
        while answered < 2 and decoder.receive(sock):
            for message, _ in decoder.messages():
                if answered == 0:
                    wire.agree(message)
                answered += 1
        return answered == 2


if __name__ == "__main__":
    sys.exit(main())
