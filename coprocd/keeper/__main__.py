"""`coprocd-keeper`: becomes the keeper for a socket, or asks the one that is there to start its daemon."""

from __future__ import annotations

import argparse
import logging
import os
import resource
import socket
import sys

from coprocd.keeper import claim, renewal, wire
from coprocd.keeper.process import Keeper
from coprocd.keeper.register import Register
from coprocd.keeper.supervisor import Supervisor
from coprocd.platform import descriptors, directories, service
from coprocd.protocol import places
from coprocd.protocol.errors import CoprocdError

CLAIM_TIMEOUT_S = 5.0


def main() -> int:
    args = _arguments().parse_args()
    if args.can_renew is not None:
        return _answer_can_renew(args.can_renew)
    logging.basicConfig(format="%(asctime)s %(name)s[%(process)d] %(levelname)s %(message)s", level=logging.INFO)
    path = places.keeper_socket_path(args.socket)
    if args.renewed is not None:
        return _run(renewal.resume(args.renewed, places.register_path(args.socket)), path)
    try:
        directories.make_private(os.path.dirname(path))
        if _ask_running(path, args):
            return 0
        claimed = claim.claim(path, CLAIM_TIMEOUT_S)
        if claimed is None:
            if _ask_running(path, args):
                return 0
            raise CoprocdError("resource_exhausted", f"another keeper holds {path}.lock, but does not answer on {path}")
        register = Register(places.register_path(args.socket))
    except (CoprocdError, OSError, wire.WireError) as error:
        print(error, file=sys.stderr)
        if args.status_fd is not None:
            os.write(args.status_fd, f"{error}\n".encode())
        return 1
    open_files = descriptors.raise_limit()
    if args.open_files is not None:
        open_files = (min(args.open_files, open_files[1]) if open_files[1] != resource.RLIM_INFINITY else args.open_files, open_files[1])
    if args.status_fd is not None:
        os.set_inheritable(args.status_fd, False)
    supervisor = Supervisor(args.socket, args.managed)
    if args.successor:
        supervisor.expect()
    elif not args.managed or args.status_fd is not None:
        supervisor.start(args.status_fd)
    return _run(Keeper(*claimed, register, supervisor, open_files), path)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="coprocd-keeper", description="Holds the sessions of coprocd and starts its daemon.")
    parser.add_argument("--socket", default=places.socket_path(), help="the daemon's socket (default: %(default)s)")
    parser.add_argument("--status-fd", type=int, help="where to write READY, or why there is no daemon")
    parser.add_argument("--managed", action="store_true", help="start no daemon: a service manager does")
    parser.add_argument("--successor", action="store_true", help=argparse.SUPPRESS)  # a daemon that has lost its keeper starts it
    parser.add_argument("--open-files", type=int, help="the soft limit of open files that jobs get (default: the keeper's own)")
    parser.add_argument("--renewed", type=int, metavar="FD", help=argparse.SUPPRESS)
    parser.add_argument("--can-renew", type=int, metavar="LAYOUT", help=argparse.SUPPRESS)
    return parser


def _run(keeper: Keeper, path: str) -> int:
    service.notify("READY=1")
    keeper.run()
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # somebody has tidied up
    return 0


def _answer_can_renew(layout: int) -> int:
    """Whether this code can go on where a keeper that hands on `layout` stopped."""
    if layout <= renewal.LAYOUT:
        return 0
    print(f"it hands on layout {layout}, and this version reads up to {renewal.LAYOUT}: upgrade instead", file=sys.stderr)
    return 1


def _ask_running(path: str, args: argparse.Namespace) -> bool:
    """Asks a keeper that answers at `path` to start its daemon, unless one is not wanted; False when none answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(CLAIM_TIMEOUT_S)
        try:
            sock.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        if args.successor:
            return True
        if args.managed:
            raise CoprocdError("name_taken", f"a keeper runs already on {path}; coprocctl daemon stop --all ends it and its sessions")
        try:
            return _ask_for_daemon(sock, args.status_fd)
        except ConnectionError:
            return False  # it was ending
        except TimeoutError:
            raise CoprocdError(
                "resource_exhausted",
                f"the keeper on {path} does not answer within {CLAIM_TIMEOUT_S:g} s: it is stopped, or very busy; try again",
            ) from None


def _ask_for_daemon(sock: socket.socket, status_fd: int | None) -> bool:
    """Whether the keeper at the other end has taken the wish; what becomes of it is told on `status_fd`."""
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
