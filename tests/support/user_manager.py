"""A real `systemd --user` for the time of a test, beside whatever else runs: in a mount namespace with a /run of its own, and below a cgroup of its own.

Processes, sockets and files are seen from outside as well: only /run (systemd looks there whether it is the system's
manager) and, where the machine has none, /sys/fs/cgroup are private. When the test process ends, however it ends, all of it is
ended: the shell that holds it reads the end of its standard input.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

from support.live import PATIENCE_S

ROOT = Path(__file__).parent.parent.parent

# $1: the name of the cgroup. Says "up PID" when the manager runs.
HOLD = r"""
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/systemd/system
if [ "$(stat -fc %T /sys/fs/cgroup)" = cgroup2fs ] || ! [ -d /sys/fs/cgroup/systemd ]; then
    own=$(sed -n 's/^0:://p' /proc/self/cgroup); [ "$own" != / ] || own=
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    bases=/sys/fs/cgroup$own
    echo "+memory +pids" > "$bases/cgroup.subtree_control" 2>/dev/null || true
else
    bases=$(ls -d /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup/memory /sys/fs/cgroup/pids 2>/dev/null || true)
fi
for base in $bases; do mkdir "$base/$1"; done
for base in $bases; do echo $$ > "$base/$1/cgroup.procs"; done
systemd=/lib/systemd/systemd; [ -x $systemd ] || systemd=/usr/lib/systemd/systemd
$systemd --user </dev/null >&2 & manager=$!
for base in $bases; do echo $$ > "$base/cgroup.procs"; done
echo "up $manager"
cat >/dev/null
set +e
kill -TERM $manager; wait $manager
for base in $bases; do
    for pid in $(find "$base/$1" -name cgroup.procs -exec cat {} +); do kill -KILL "$pid"; done
done
for try in 1 2 3 4 5 6 7 8 9; do
    find /sys/fs/cgroup -depth -type d -path "*/$1*" -exec rmdir {} + && break
    sleep 0.2  # until the kernel has let go of those that were killed
done 2>/dev/null
"""


@cache
def missing() -> str:
    """Why no `systemd --user` can be had here; empty when it can."""
    if not all(map(shutil.which, ("systemctl", "systemd-run", "unshare", "nsenter"))):
        return "systemd is not installed"
    if os.getuid() != 0:
        return "only root can make a mount namespace with cgroups that it may write"
    probe = subprocess.run(["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/run"], capture_output=True, text=True, check=False)
    if probe.returncode:
        return f"no mount namespace can be made: {probe.stderr.strip()}"
    with UserManager() as manager:
        return manager.failure


class UserManager:
    """`systemd --user` with its own XDG directories. A context."""

    def __init__(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="u", dir="/tmp")
        self.runtime = f"{self.directory}/r"
        os.mkdir(self.runtime, 0o700)
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("COPROCD_", "XDG_", "DBUS_", "NOTIFY_", "LISTEN_"))
        }
        self.environment = kept | {
            "HOME": self.directory,
            "XDG_RUNTIME_DIR": self.runtime,
            "XDG_CONFIG_HOME": f"{self.directory}/c",
            "XDG_STATE_HOME": f"{self.directory}/s",
            "XDG_DATA_HOME": f"{self.directory}/d",
            "PYTHONPATH": f"{ROOT}:{ROOT}/clients",
        }
        self.write(
            "c/systemd/user.conf",
            "[Manager]\nDefaultStandardOutput=inherit\nDefaultStandardError=inherit\nLogLevel=info\nLogTarget=console\n",
        )
        self.socket = f"{self.runtime}/coprocd/coprocd.sock"
        self.failure = ""

    def __enter__(self) -> UserManager:
        self.log = open(f"{self.directory}/log", "wb")
        self._shell = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", HOLD, "sh", f"coprocd-test-{os.path.basename(self.directory)}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=self.environment,
        )
        assert self._shell.stdout is not None
        said = self._shell.stdout.readline().split()
        deadline = time.monotonic() + PATIENCE_S
        while said and self.run("systemctl", "--user", "is-system-running", check=False).stdout.strip() not in ("running", "degraded"):
            if time.monotonic() > deadline or not os.path.exists(f"/proc/{int(said[1])}/exe"):
                break
        else:
            if said:
                return self
        self.failure = f"systemd --user does not come up: {self.said()[-500:]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.communicate()
        self.log.close()
        shutil.rmtree(self.directory)

    def run(self, *command: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command beside the manager, to its end."""
        inside = ["nsenter", "--target", str(self._shell.pid), "--mount", f"--wd={self.directory}", "--", *command]
        done = subprocess.run(inside, env=self.environment, capture_output=True, text=True, timeout=90, check=False, **more)
        assert not check or done.returncode == 0, f"{command}: {done.stderr}\n{self.said()}"
        return done

    def systemctl(self, *words: str) -> str:
        return self.run("systemctl", "--user", *words).stdout.strip()

    def property(self, unit: str, name: str) -> str:
        return self.systemctl("show", "--value", "--property", name, unit)

    def coprocctl(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "coprocctl", *words).stdout.strip()

    def write(self, name: str, text: str) -> None:
        """A file below the directory that stands for the home of this user."""
        path = Path(self.directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def said(self) -> str:
        """What systemd and its services logged."""
        return Path(self.directory, "log").read_text(errors="replace")
