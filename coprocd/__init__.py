"""coprocd: coprocesses for every terminal.

A long-running daemon owns pty sessions and their coprocesses; clients reach it over one Unix socket.
The layers, each importing only those below it: `daemon` → `api` → `runtime` → `core` → `protocol`,
with `keeper` (the process that forks and holds file descriptors) beside them.
"""

__version__ = "0.1.0"
