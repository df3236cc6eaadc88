"""How the keeper starts a job: on a new pty (ptyprocess), or with three pipes (subprocess).

The child gets back what the keeper changed for itself: default signals, the original limit of open files. It changes
its directory itself, under an alarm: a directory on a hung file system ends the child, not the keeper's service.
For the same reason `argv[0]` is an absolute path that the daemon has looked up: the keeper searches no directory.
Last before it becomes the job, it writes itself into the register, and looks whether the keeper is still there.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ptyprocess

CHDIR_TIMEOUT_S = 2

Spawned = tuple[int, dict[str, int]]
"""The pid, and the descriptors that stay with the keeper: `master`, or `stdin`, `stdout`, `stderr`, or `stdout` alone."""

DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGQUIT)


@dataclass(frozen=True)
class Start:
    """What the child does before it becomes the job. `open_files` is its limit; `register_fd` is what `write_in` writes to."""

    cwd: str
    open_files: tuple[int, int]
    register_fd: int
    write_in: Callable[[], None]

    def prepare(self) -> Callable[[], None]:
        """For the child to call; what it raises is why the job does not start."""
        keeper = os.getpid()

        def prepare() -> None:
            for number in DEFAULT_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            signal.alarm(CHDIR_TIMEOUT_S)  # SIGALRM ends a child that hangs in chdir
            os.chdir(self.cwd)
            signal.alarm(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, self.open_files)
            self.write_in()
            if os.getppid() != keeper:
                os._exit(1)  # it was killed meanwhile: nobody would ever know of this job

        return prepare


class _Pty(ptyprocess.PtyProcess):  # type: ignore[misc]
    """ptyprocess's, which is let go of at once: from then on only pid and master count, and those are the keeper's."""

    closed: bool

    def __del__(self) -> None:
        if not self.closed:
            self.closed = True
            self.fileobj.close()


def on_pty(argv: list[str], env: dict[str, str], rows: int, cols: int, start: Start) -> Spawned:
    """Starts `argv` as leader of a session of its own on a new pty. OSError says why it could not."""
    pid_pipe = os.pipe()
    prepare = start.prepare()

    def in_child() -> None:
        os.write(pid_pipe[1], str(os.getpid()).encode())
        os.close(pid_pipe[1])
        prepare()

    os.set_blocking(pid_pipe[0], False)
    try:
        process = _Pty.spawn(argv, env=env, preexec_fn=in_child, dimensions=(rows, cols), pass_fds=(pid_pipe[1], start.register_fd))
    except Exception as error:
        traceback.clear_frames(error.__traceback__)  # they hold the master
        _reap_failed(pid_pipe[0])
        raise _as_oserror(error) from error
    finally:
        os.close(pid_pipe[0])
        os.close(pid_pipe[1])
    master = os.dup(process.fd)
    os.set_inheritable(master, False)
    return process.pid, {"master": master}


def on_pipes(argv: list[str], env: dict[str, str], stdout: bool, start: Start, joined: bool = False) -> Spawned:
    """Starts `argv` in a session and process group of its own; without `stdout` its output goes to /dev/null. OSError says why not.

    `joined`: it has nothing to read, and its stderr goes where its stdout goes, in the order in which it is written.
    """
    try:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if joined else subprocess.PIPE,
            stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if joined else subprocess.PIPE,
            env=env,
            start_new_session=True,
            preexec_fn=start.prepare(),
        )
    except subprocess.SubprocessError as error:  # what preexec_fn raised, without its text
        raise OSError(f"cannot enter the directory {start.cwd}, or write the register") from error
    process.returncode = 0  # reaped by the keeper; its __del__ must not
    fds = {}
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(process, name)
        if stream is not None:
            fds[name] = os.dup(stream.fileno())
            stream.close()
    return process.pid, fds


def _as_oserror(error: Exception) -> OSError:
    """ptyprocess passes on what the child met, as type, number and text; an OSError of Python's knows its number in the text alone."""
    if isinstance(error, OSError) and error.errno:
        return error
    text = str(error)
    if "out of pty devices" in text:  # the standard library's, where forkpty(3) has failed
        return OSError(errno.ENOSPC, "no terminal is left")
    number = next((n for n in errno.errorcode if text.startswith(f"[Errno {n}]")), None)
    return OSError(number, os.strerror(number)) if number is not None else OSError(text)


def _reap_failed(pid_source: int) -> None:
    """ptyprocess forgets the pid of a child that could not exec: it came through our pipe."""
    try:
        pid = int(os.read(pid_source, 32) or 0)
        if pid:
            os.waitpid(pid, 0)
    except (OSError, ValueError, ChildProcessError):
        pass  # it was not forked, or ptyprocess has reaped it


def status_of(wait_status: int) -> dict[str, int | str | None]:
    """How a child ended, from wait(2): {"exit_status", "signal"}, one of them null."""
    if os.WIFEXITED(wait_status):
        return {"exit_status": os.WEXITSTATUS(wait_status), "signal": None}
    number = os.WTERMSIG(wait_status)
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"SIG{number}"
    return {"exit_status": None, "signal": name}


def unknown_status() -> dict[str, int | str | None]:
    """It ended, and nobody was told how."""
    return {"exit_status": None, "signal": None}


def waited(pid: int) -> int | None:
    """The wait status of our own child, which stays a zombie; None while it lives. ChildProcessError when it is not ours."""
    info: Any = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if info is None:
        return None
    status: int = info.si_status << 8 if info.si_code == os.CLD_EXITED else info.si_status
    return status
