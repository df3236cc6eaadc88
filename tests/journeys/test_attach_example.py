"""The client in docs/attach.md, as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.live import live

PAGE = Path(__file__).parents[2] / "docs" / "attach.md"


def test_it_shows_and_types_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    assert found
    (tmp_path / "client.py").write_text(found[1])
    with live() as daemon:
        session = daemon.raw_cat()
        client = subprocess.Popen(
            [sys.executable, tmp_path / "client.py", session],
            env=daemon.environment | {"COPROCD_SOCKET": daemon.socket},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert client.stdin is not None and client.stdout is not None
        client.stdin.write(b"before\n")
        client.stdin.flush()
        shown = b""
        while b"before\r" not in shown:
            data = os.read(client.stdout.fileno(), 1 << 16)
            assert data
            shown += data
        daemon.restart()
        daemon.client.event("client.attached")
        client.stdin.write(b"after\n")
        client.stdin.flush()
        daemon.output(session, b"before\rafter\r")
        daemon.call("session.signal", session=session, signal="TERM")
        shown += client.communicate(timeout=30)[0]
        assert shown.count(b"before\r") == 1 and shown.index(b"ready") < shown.index(b"before\r") < shown.index(b"after\r")
        assert shown.endswith(b"{'type': 'exit', 'exit_status': None, 'signal': 'SIGTERM'}\n")
