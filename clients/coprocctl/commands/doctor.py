"""`coprocctl doctor`: what is there, what is missing, and what to do about it. Works without a daemon, and starts none."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import stat
import sys

from coprocctl import service_checks
from coprocctl.arguments import socket_path
from coprocctl.connection import PROTOCOL, SOCKET_PATH_MAX, Connection
from coprocctl.exits import EXIT_FAILED, Failure, NoDaemon
from coprocctl.format import age, escaped, size
from coprocctl.output import coloured, print_json
from coprocctl.service_checks import Check
from coprocd import __version__
from coprocd.protocol import places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}
FILES_A_SESSION = 16  # in keeper and daemon: master, log, state, pidfd, pipes
REQUIRED = ("aiohttp", "jsonrpcserver", "msgspec", "ptyprocess")
ANSWER_TIMEOUT_S = 5.0
JUDGE_TIMEOUT_S = 30.0  # a start of Python with the daemon's imports takes 0.4 s
REINSTALL = "install coprocd again: pip install coprocd"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exits with 1 when something fails. Attach its output to a bug report: it holds no session's text."


def run(args: argparse.Namespace) -> int:
    socket = socket_path(args)
    found = [*versions(), *daemon(socket), *locations(socket), *limits(), *features(), *service_checks.checks()]
    if args.json:
        print_json([check._asdict() for check in found])
    else:
        widest = max(len(check.subject) for check in found)
        for check in found:
            print(f"{coloured(check.state.ljust(4), COLOURS[check.state])}  {check.subject.ljust(widest)}  {escaped(check.said)}")
            if check.remedy:
                print(f"{'':4}  {'':{widest}}  → {escaped(check.remedy)}")
    return EXIT_FAILED if any(check.state == "fail" for check in found) else 0


def versions() -> Iterator[Check]:
    """This command, Python, the libraries that the daemon needs, and the system."""
    yield Check("ok", "coprocctl", f"{__version__}, protocol {PROTOCOL}, {os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}")
    yield Check("ok", "python", f"{platform.python_version()}, {sys.executable}")
    from importlib.metadata import PackageNotFoundError, version

    there, missing = [], []
    for package in REQUIRED:
        try:
            there.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        yield Check("fail", "libraries", f"missing: {', '.join(missing)}", REINSTALL)
    else:
        yield Check("ok", "libraries", ", ".join(there))
    system = os.uname()
    if sys.platform == "linux":
        yield Check("ok", "system", f"{system.sysname} {system.release}, {system.machine}")
    else:
        yield Check("warn", "system", f"{system.sysname} {system.release}, {system.machine}", "Linux is what coprocd is tested on")


def daemon(socket: str) -> Iterator[Check]:
    """The daemon, whether it is ours, and of our version."""
    try:
        with Connection(socket, ANSWER_TIMEOUT_S) as connection:
            info = connection.call("daemon.info", timeout_s=ANSWER_TIMEOUT_S, again=False)
    except NoDaemon as failure:
        if failure.message.startswith("no daemon runs"):
            yield Check("ok", "daemon", "not running; coprocctl new starts it")
        else:
            yield Check(
                "fail",
                "daemon",
                failure.message,
                "another user's, without permission, or no socket: choose a place with $COPROCD_RUNTIME_DIR",
            )
        return
    except Failure as failure:
        yield Check("fail", "daemon", failure.message, "coprocctl daemon restart; if that does not help, coprocctl daemon logs")
        return
    said = f"{info['version']}, pid {info['pid']}, keeper {info['keeper_pid']}, up {age(info['uptime_s'])}, {info['sessions']} sessions"
    if not info["protocol"]["min"] <= PROTOCOL <= info["protocol"]["max"]:
        older = "coprocctl" if info["protocol"]["min"] > PROTOCOL else "the daemon"
        yield Check(
            "fail", "daemon", f"{said}; it speaks protocol {info['protocol']['min']} to {info['protocol']['max']}", f"upgrade {older}"
        )
    elif info["version"] != __version__:
        yield Check(
            "warn",
            "daemon",
            f"{said}; this command is {__version__}",
            "coprocctl daemon restart puts the installed one in its place; sessions live on",
        )
    else:
        yield Check("ok", "daemon", said)


def locations(socket: str) -> Iterator[Check]:
    """Directories and sockets: where they are, whose, and with which mode."""
    directory = os.path.dirname(socket)
    yield _private("runtime dir", directory)
    if not os.environ.get("XDG_RUNTIME_DIR") and not os.environ.get("COPROCD_RUNTIME_DIR") and directory.startswith("/tmp/"):
        yield Check(
            "warn",
            "runtime dir",
            "$XDG_RUNTIME_DIR is not set, so it is in /tmp",
            "log in through logind, or set $XDG_RUNTIME_DIR or $COPROCD_RUNTIME_DIR in every shell",
        )
    length = len(os.fsencode(socket))
    if length > SOCKET_PATH_MAX:
        yield Check(
            "fail", "socket", f"{socket}: {length} bytes, of at most {SOCKET_PATH_MAX}", "choose a shorter place with $COPROCD_RUNTIME_DIR"
        )
    elif os.path.exists(socket):
        mode = stat.S_IMODE(os.stat(socket).st_mode)
        yield Check(
            "ok" if not mode & 0o077 else "fail", "socket", f"{socket}, mode {mode:04o}", f"chmod 600 {socket}" if mode & 0o077 else ""
        )
    else:
        yield Check("ok", "socket", f"{socket}, not there yet")
    yield _writable("log", places.log_path())
    yield _settings(places.config_path())


def _private(subject: str, path: str) -> Check:
    """A directory that must be ours alone."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return Check("ok", subject, f"{path}, not there yet")
    except OSError as error:
        return Check("fail", subject, f"{path}: {error.strerror}", "choose another with $COPROCD_RUNTIME_DIR")
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        return Check("fail", subject, f"{path} is no directory", "remove it, or choose another with $COPROCD_RUNTIME_DIR")
    if found.st_uid == 0 and found.st_mode & stat.S_ISVTX:
        return Check("ok", subject, f"{path}, mode {mode:04o}: shared, but nobody can touch another's files (chmod(1))")
    if found.st_uid != os.getuid():
        return Check("fail", subject, f"{path} belongs to user {found.st_uid}", "choose another with $COPROCD_RUNTIME_DIR")
    if mode & 0o022:
        return Check("fail", subject, f"{path}, mode {mode:04o}: others can write to it, and the daemon refuses that", f"chmod 700 {path}")
    if mode & 0o055:
        return Check("warn", subject, f"{path}, mode {mode:04o}: others can look into it", f"chmod 700 {path}")
    return Check("ok", subject, f"{path}, mode {mode:04o}")


def _writable(subject: str, path: str) -> Check:
    """A file that we append to, or the first directory above it that exists."""
    if os.path.exists(path):
        if os.access(path, os.W_OK):
            return Check("ok", subject, f"{path}, {size(os.path.getsize(path))}")
        return Check("fail", subject, f"{path} cannot be written", "set $XDG_STATE_HOME to a place of yours")
    above = os.path.dirname(path)
    while not os.path.exists(above):
        above = os.path.dirname(above)
    if os.access(above, os.W_OK | os.X_OK):
        return Check("ok", subject, f"{path}, not there yet")
    return Check("fail", subject, f"{path} cannot be made: {above} cannot be written", "set $XDG_STATE_HOME to a place of yours")


def _settings(path: str) -> Check:
    """The settings as the installed daemon judges them, which alone knows what they may be."""
    import subprocess

    command = [sys.executable, "-P", "-m", "coprocd", "--check-config"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=JUDGE_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return Check("fail", "settings", f"{path} was not read within {JUDGE_TIMEOUT_S:g} s", "put a plain file there, or move it away")
    except OSError as error:
        return Check("fail", "settings", f"{path} was not judged: {sys.executable}: {error.strerror}", REINSTALL)
    if done.returncode == 0 and not done.stderr:
        return Check("ok", "settings", path if os.path.exists(path) else f"{path}, not there: all as shipped")
    said, _, remedy = done.stderr.strip().rpartition("\n")[2].rpartition("; ")
    if said.startswith(path):
        return Check("fail" if done.returncode else "warn", "settings", said, remedy)
    return Check("fail", "settings", f"{path} was not judged: {said or remedy}", REINSTALL)


def limits() -> Iterator[Check]:
    """What bounds the number of sessions."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shown = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    room = 1 << 20 if hard == resource.RLIM_INFINITY else hard // FILES_A_SESSION
    said = f"{soft} soft, {shown} hard: room for about {room} sessions"
    if room < 64:
        yield Check("warn", "open files", said, "raise the hard limit: LimitNOFILE= in the unit, or nofile in /etc/security/limits.conf")
    else:
        yield Check("ok", "open files", said)
    used, most = _number("/proc/sys/kernel/pty/nr"), _number("/proc/sys/kernel/pty/max")
    if used is not None and most is not None:
        full = used > most * 0.9
        yield Check("warn" if full else "ok", "terminals", f"{used} of {most} in use", "sysctl kernel.pty.max=8192" if full else "")
    pages = _number("/proc/sys/fs/pipe-user-pages-soft")
    if pages is not None:
        few = 0 < pages < 4096
        said = "no limit" if pages == 0 else f"{pages} pages: {pages // 16} pipes of full size"
        yield Check("warn" if few else "ok", "pipe pages", said, "sysctl fs.pipe-user-pages-soft=16384" if few else "")


def features() -> Iterator[Check]:
    """What the platform can do, tried and not only looked up."""
    for name, attempt, without in (
        ("memfd_create", _try_memfd, "logs are plain files in the runtime directory"),
        ("pidfd_open", _try_pidfd, "ends of processes are polled for"),
        ("splice", _try_splice, "a crash of the daemon may lose the bytes it was just reading"),
    ):
        try:
            attempt()
        except (AttributeError, OSError) as error:
            yield Check(
                "warn",
                name,
                f"not here ({getattr(error, 'strerror', None) or 'this Python lacks it'}): {without}",
                "Linux 5.10 or newer, and Python 3.11 built for it, have it",
            )
        else:
            yield Check("ok", name, "works")
    try:
        for fd in os.openpty():
            os.close(fd)
    except OSError as error:
        yield Check("fail", "pty", f"no terminal can be made: {error.strerror}", "mount devpts on /dev/pts; see terminals above")
    else:
        yield Check("ok", "pty", "works")
    for shell in dict.fromkeys(("/bin/sh", os.environ.get("SHELL") or "/bin/sh")):
        there = os.access(shell, os.X_OK)
        yield Check(
            "ok" if there else "fail", "shell", shell if there else f"{shell} cannot be run", "" if there else "set $SHELL to one that can"
        )


def _try_memfd() -> None:
    os.close(os.memfd_create("coprocctl-doctor", os.MFD_CLOEXEC))


def _try_pidfd() -> None:
    os.close(os.pidfd_open(os.getpid()))


def _try_splice() -> None:
    """From one pipe to another, as the daemon does with what a session prints."""
    splice = os.splice
    fds = [*os.pipe(), *os.pipe()]
    try:
        os.write(fds[1], b"x")
        if splice(fds[0], fds[3], 1) != 1:
            raise OSError(0, "nothing was moved")
    finally:
        for fd in fds:
            os.close(fd)


def _number(path: str) -> int | None:
    """What a file of /proc/sys holds; None where it is not to be had."""
    try:
        with open(path) as file:
            return int(file.read())
    except (OSError, ValueError):
        return None
