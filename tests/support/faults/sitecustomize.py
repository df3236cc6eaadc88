"""Faults put into a daemon from outside: for tests, in processes that have this directory on PYTHONPATH.

The product has no code for it. A daemon (`-m coprocd`), a keeper (`-m coprocd.keeper`) or a screen worker (`-m coprocd.screen`) takes the fault that the file `fault`
beside its runtime directory names, when it starts or at SIGUSR2: it wraps one function, and the file is then gone. A fault is

    daemon|keeper|screen KILL|STOP MODULE:QUALNAME before|after N

and the process sends itself that signal before or after the N-th call of the function. `$COPROCD_WITHOUT` names modules
of `coprocd.platform` whose good path is switched off (`AVAILABLE`), as on a system that has none.
What a screen worker is fed kills it where `POISON-KILL` stands in it, and hangs it where `POISON-HANG` does.

Such a daemon has one method more, `test.run_command`, which does what a trigger with the action `run_command` does.
"""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import sys
import types
from functools import reduce, wraps
from typing import Any


def _process() -> str | None:
    argv = sys.orig_argv
    name = argv[argv.index("-m") + 1] if "-m" in argv[:-1] else ""
    return {"coprocd": "daemon", "coprocd.keeper": "keeper", "coprocd.screen": "screen"}.get(name)


def _arm(path: str, process: str) -> None:
    try:
        with open(path) as file:
            where, how, name, when, count = file.read().split()
    except FileNotFoundError:
        return
    if where != process:
        return
    module, qualname = name.split(":")
    *outer, last = qualname.split(".")
    owner = reduce(getattr, outer, importlib.import_module(module))
    setattr(owner, last, _wrapped(inspect.getattr_static(owner, last), when, int(count), signal.Signals[f"SIG{how}"]))
    os.unlink(path)


def _wrapped(found: Any, when: str, count: int, number: signal.Signals) -> Any:
    """`found`, a function or the like in its class, with the fault in it."""
    if isinstance(found, classmethod | staticmethod):
        return type(found)(_wrapped(found.__func__, when, count, number))
    left = [count]

    def passed(at: str) -> None:
        if at == when:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), number)

    @wraps(found)
    def function(*args: Any, **kwargs: Any) -> Any:
        passed("before")
        result = found(*args, **kwargs)
        passed("after")
        return result

    @wraps(found)
    async def coroutine_function(*args: Any, **kwargs: Any) -> Any:
        passed("before")
        result = await found(*args, **kwargs)
        passed("after")
        return result

    return coroutine_function if inspect.iscoroutinefunction(found) else function


def _switch_off(names: list[str]) -> None:
    for name in names:
        importlib.import_module(f"coprocd.platform.{name}").AVAILABLE = False  # type: ignore[attr-defined]


def _add_method() -> None:
    """`test.run_command`: session, trigger, argv, env?, cwd?."""
    import msgspec

    from coprocd.protocol import methods, objects

    name, fields = (
        "test.run_command",
        [("session", str), ("trigger", str), ("argv", list[str]), ("env", dict[str, str], {}), ("cwd", str, "")],
    )
    objects.TestRunCommand = msgspec.defstruct("TestRunCommand", fields, kw_only=True)  # type: ignore[attr-defined]
    methods.METHODS[name] = methods.Method(name, "TestRunCommand", "Command", (), "As a trigger.")

    async def run_command(call: Any, params: Any) -> Any:
        session, shown = call.daemon.sessions.resolve(params.session), " ".join(params.argv)
        env, cwd = dict(os.environ) | params.env, params.cwd or session.current_directory()
        return call.daemon.sessions.commands.run(session, params.trigger, params.argv, shown, env, cwd).describe()

    sys.modules["coprocd.api.methods.test"] = module = types.ModuleType("coprocd.api.methods.test")
    module.run_command = run_command  # type: ignore[attr-defined]


def _poison() -> None:
    """Output is to the emulator what a bug of its own would be."""
    from coprocd.screen import ghostty

    feed = ghostty._Ghostty.feed

    def poisoned(emulator: Any, data: bytes) -> bytes:
        if b"POISON-KILL" in data:
            os.kill(os.getpid(), signal.SIGKILL)
        while b"POISON-HANG" in data:
            signal.pause()
        return feed(emulator, data)

    ghostty._Ghostty.feed = poisoned  # type: ignore[method-assign]


def _begin(process: str | None) -> None:
    if process is None:
        return
    if process == "daemon":
        _add_method()
    if process == "screen":
        _poison()
    _switch_off(os.environ.get("COPROCD_WITHOUT", "").split())
    path = os.path.join(os.path.dirname(os.environ["COPROCD_RUNTIME_DIR"]), "fault")
    signal.signal(signal.SIGUSR2, lambda *_: _arm(path, process))
    _arm(path, process)


_begin(_process())
