"""`python -m coprocd.screen`: the screen worker's process. The daemon starts it; it is of no use to anybody else."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys

from coprocd.platform import parent
from coprocd.screen.page import Page
from coprocd.screen.worker import Worker


def main() -> int:
    parser = argparse.ArgumentParser(prog="coprocd.screen", description="The screen worker of coprocd. The daemon starts it.")
    parser.add_argument("--socket-fd", type=int, required=True, help="the connection to the daemon")
    parser.add_argument("--page-fd", type=int, required=True, help="memory in which it says what it does")
    parser.add_argument("--daemon", type=int, required=True, help="the daemon's pid")
    args = parser.parse_args()
    parent.die_with(args.daemon)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # whoever ends the daemon ends it
    try:  # told of more output, it does not take the processor from the pump that tells it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except (AttributeError, OSError):
        pass  # the system has no such thing, or does not let us
    from coprocd.screen import ghostty

    Worker(socket.socket(fileno=args.socket_fd), Page(args.page_fd), ghostty).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
