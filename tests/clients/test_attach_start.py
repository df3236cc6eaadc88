"""What attaching imports, since that is what its start takes."""

from __future__ import annotations

import subprocess
import sys


def test_attaching_imports_nothing_that_is_slow_to_import() -> None:
    program = (
        "import sys, coprocctl.__main__, coprocctl.commands.attach, coprocctl.terminal.attachment;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())
    assert "websockets" in loaded
    assert loaded.isdisjoint({"aiohttp", "asyncio", "msgspec", "jsonrpcserver", "pyghostty", "re2", "subprocess", "ssl"})


def test_other_commands_do_not_pay_for_it() -> None:
    program = "import sys, coprocctl.__main__, coprocctl.commands.list, coprocctl.commands.new; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"websockets", "coprocctl.terminal.attachment", "termios"} & set(loaded)
