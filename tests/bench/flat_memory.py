#!/usr/bin/env python3
"""Pushes MIB megabytes (default 2048) of every byte value through a coprocess and an observer.

    python tests/bench/flat_memory.py [MIB]

Prints MiB/s, whether the three checksums are equal, and by how much daemon and keeper have grown at the most.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.live import EVERY_BYTE, live, resident_bytes


def main() -> int:
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 2048
    with live() as daemon:
        place = Path(daemon.directory)
        job = [sys.executable, "-c", EVERY_BYTE, str(mib), str(place / "printed")]
        session = daemon.create(*job, coprocess={"command": f"sha256sum > {place}/read"})
        daemon.call("coprocess.run", session=session, command=f"sha256sum > {place}/observed", from_=0, input=False)
        pids = daemon.pids()
        before = peak = [resident_bytes(pid) for pid in pids]
        daemon.go(session)
        begun = time.monotonic()
        while daemon.call("session.get", session=session)["state"] == "running":
            peak = [max(most, resident_bytes(pid)) for most, pid in zip(peak, pids, strict=True)]
            time.sleep(0.2)
        took = time.monotonic() - begun
        while any(c["state"] != "ended" for c in daemon.call("coprocess.list", session=session)):
            time.sleep(0.05)
        sums = [(place / name).read_text().split()[0] for name in ("printed", "read", "observed")]
    grown = ", ".join(
        f"{name} {(most - first) / 2**20:.1f} MiB" for name, most, first in zip(("daemon", "keeper"), peak, before, strict=True)
    )
    print(f"{mib} MiB at {mib / took:.1f} MiB/s; checksums {'equal' if len(set(sums)) == 1 else 'DIFFER'}; grown: {grown}")
    return 0 if len(set(sums)) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
