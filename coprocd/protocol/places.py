"""Where things are: the runtime directory, the sockets in it, configuration and state.

Only names paths; whoever uses a directory makes and checks it. Imported by every process and every command.
All that belongs to one daemon is named after its socket, so two daemons differ in one path alone.
"""

from __future__ import annotations

import os

SOCKET_NAME = "coprocd.sock"


def runtime_dir() -> str:
    """`$COPROCD_RUNTIME_DIR`, else `$XDG_RUNTIME_DIR/coprocd`, else `/tmp/coprocd-$UID`."""
    env = os.environ
    if env.get("COPROCD_RUNTIME_DIR"):
        return os.path.abspath(env["COPROCD_RUNTIME_DIR"])
    if env.get("XDG_RUNTIME_DIR"):
        return os.path.join(env["XDG_RUNTIME_DIR"], "coprocd")
    return f"/tmp/coprocd-{os.getuid()}"


def socket_path() -> str:
    """`$COPROCD_SOCKET`, else `coprocd.sock` in the runtime directory."""
    return os.environ.get("COPROCD_SOCKET") or os.path.join(runtime_dir(), SOCKET_NAME)


def keeper_socket_path(socket: str) -> str:
    """The socket on which the keeper of the daemon at `socket` answers."""
    return f"{socket}.keeper"


def register_path(socket: str) -> str:
    """The file in which the keeper of the daemon at `socket` says what jobs there are."""
    return f"{socket}.jobs"


def lock_path(socket: str) -> str:
    """Locked (flock) by the daemon that serves `socket`, for as long as it lives."""
    return f"{socket}.lock"


def agent_path(socket: str) -> str:
    """The link that sessions of the daemon at `socket` have for SSH_AUTH_SOCK."""
    directory, name = os.path.split(socket)
    return os.path.join(directory, "ssh-auth.sock" if name == SOCKET_NAME else f"{name}.ssh-auth")


def config_path() -> str:
    """`$XDG_CONFIG_HOME/coprocd/config.toml`."""
    return os.path.join(_home("XDG_CONFIG_HOME", ".config"), "coprocd", "config.toml")


def state_dir() -> str:
    """`$XDG_STATE_HOME/coprocd`: the log, and recordings."""
    return os.path.join(_home("XDG_STATE_HOME", ".local/state"), "coprocd")


def log_path() -> str:
    """What daemon and keeper log to."""
    return os.path.join(state_dir(), "coprocd.log")


def _home(variable: str, fallback: str) -> str:
    return os.environ.get(variable) or os.path.join(os.path.expanduser("~"), fallback)
