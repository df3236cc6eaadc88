"""How the keeper starts a job: on a new pty (ptyprocess), or with three pipes (subprocess).

The child gets back what the keeper changed for itself: default signals, the original limit of open files. It changes
its directory itself, under an alarm: a directory on a hung file system ends the child, not the keeper's service.
For the same reason `argv[0]` is an absolute path that the daemon has looked up: the keeper searches no directory.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import ptyprocess

CHDIR_TIMEOUT_S = 2

Spawned = tuple[int, dict[str, int]]
"""The pid, and the descriptors that stay with the keeper: `master`, or `stdin`, `stdout`, `stderr`."""

DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGQUIT)


def on_pty(argv: list[str], env: dict[str, str], cwd: str, rows: int, cols: int, open_files: tuple[int, int]) -> Spawned:
    """Starts `argv` as leader of a session of its own on a new pty. OSError says why it could not."""
    pid_pipe = os.pipe()
    prepare = _prepare(cwd, open_files)

    def in_child() -> None:
        os.write(pid_pipe[1], str(os.getpid()).encode())
        os.close(pid_pipe[1])
        prepare()

    os.set_blocking(pid_pipe[0], False)
    try:
        process = ptyprocess.PtyProcess.spawn(argv, env=env, preexec_fn=in_child, dimensions=(rows, cols), pass_fds=(pid_pipe[1],))
    except Exception as error:
        _reap_failed(pid_pipe[0])
        raise error if isinstance(error, OSError) else OSError(str(error)) from error
    finally:
        os.close(pid_pipe[0])
        os.close(pid_pipe[1])
    master = os.dup(process.fd)
    process.fileobj.close()
    process.closed = True  # its __del__ would kill the job: from here on only pid and master count
    return process.pid, {"master": master}


def on_pipes(argv: list[str], env: dict[str, str], cwd: str, stdout: bool, open_files: tuple[int, int]) -> Spawned:
    """Starts `argv` in a session and process group of its own; without `stdout` its output goes to /dev/null. OSError says why not."""
    try:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
            preexec_fn=_prepare(cwd, open_files),
        )
    except subprocess.SubprocessError as error:  # what preexec_fn raised, without its text
        raise OSError(f"cannot enter the directory {cwd}") from error
    process.returncode = 0  # reaped by the keeper; its __del__ must not
    fds = {}
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(process, name)
        if stream is not None:
            fds[name] = os.dup(stream.fileno())
            stream.close()
    return process.pid, fds


def _prepare(cwd: str, open_files: tuple[int, int]) -> Callable[[], None]:
    def prepare() -> None:
        for number in DEFAULT_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.alarm(CHDIR_TIMEOUT_S)  # SIGALRM ends a child that hangs in chdir
        os.chdir(cwd)
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, open_files)

    return prepare


def _reap_failed(pid_source: int) -> None:
    """ptyprocess forgets the pid of a child that could not exec: it came through our pipe."""
    try:
        pid = int(os.read(pid_source, 32) or 0)
        if pid:
            os.waitpid(pid, 0)
    except (OSError, ValueError, ChildProcessError):
        pass  # it was not forked, or ptyprocess has reaped it


def status_of(siginfo: Any) -> dict[str, int | str | None]:
    """How a child ended, from waitid(2): {"exit_status", "signal"}, one of them null."""
    if siginfo.si_code == os.CLD_EXITED:
        return {"exit_status": siginfo.si_status, "signal": None}
    try:
        name = signal.Signals(siginfo.si_status).name
    except ValueError:
        name = f"SIG{siginfo.si_status}"
    return {"exit_status": None, "signal": name}
