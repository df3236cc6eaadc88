"""Which variables a session does not inherit: they describe what is around whoever starts it, and the session has its own or none.

Plain data: `coprocctl` uses it for the environment that it sends, the daemon for its own.
"""

from __future__ import annotations

TERMINAL = ("TERM", "TERMCAP", "COLUMNS", "LINES", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TMUX", "TMUX_PANE", "STY", "WINDOW", "WINDOWID")
"""Of the terminal or multiplexer around it."""

SESSION = ("COPROCD_SESSION", "COPROCD_SOCKET", "COPROCD_TTY")
"""Of the session around it."""

SERVICE = (
    *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "MAINPID", "MANAGERPID"),
    *("INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE"),
    *("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY", "CONFIGURATION_DIRECTORY", "CREDENTIALS_DIRECTORY"),
)
"""Of the service that it is part of (systemd.exec(5))."""

OUTER = frozenset((*TERMINAL, *SESSION, *SERVICE, "OLDPWD"))
