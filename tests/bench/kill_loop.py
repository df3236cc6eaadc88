#!/usr/bin/env python3
"""Kills the daemon KILLS times (default 300) under the load of `support.ordeal`, at instants that SEED decides.

    python tests/bench/kill_loop.py [--kills KILLS] [--seed SEED] [--sessions SESSIONS] [--naive]

SESSIONS more are there and do nothing: so it shows how long a daemon takes to recover many.
With --naive bytes pass through the daemon's memory (read, then store), as they do where there is no splice(2): it must be seen to lose.
Prints, of each stream, its bytes (or the numbers of lines) and those lost and repeated, and how long the daemon took to answer again. Exit status 1: not all is whole.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.faulty import environment
from support.live import live
from support.ordeal import Ordeal, Part, seed
from support.ordeal_attached import Drawn, Watched
from support.ordeal_parts import Crowd, Flood, Still, Triggered, Typed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=seed())
    parser.add_argument("--sessions", type=int, default=0)
    parser.add_argument("--naive", action="store_true")
    args = parser.parse_args()
    print(f"{args.kills} kills, seed {args.seed}{', naive' if args.naive else ''}", flush=True)
    begun = time.monotonic()
    with live(environment(COPROCD_WITHOUT="pipes" if args.naive else ""), **Triggered.LIMITS) as daemon:
        parts: list[Part] = [Flood(), Typed(), Still(), triggered := Triggered(), watched := Watched(), Drawn()]
        ordeal = Ordeal(daemon, args.kills, args.seed, [*parts, Crowd(args.sessions)] if args.sessions else parts)
        tallies = ordeal.run()
    for tally in tallies:
        print(
            f"{tally.name:24} {tally.bytes:13,} bytes {tally.lost:11,} lost {tally.repeated:11,} repeated{'' if tally.exact else '  NOT EXACT'}"
        )
    print(f"{len(triggered.not_run)} commands were not run; snapshots passed over {watched.passed_over:,} bytes")
    answered = sorted(ordeal.started_s)
    print(
        f"answered again after {answered[len(answered) // 2]:.2f} s (median), {answered[-1]:.2f} s (most); {time.monotonic() - begun:.0f} s in all"
    )
    return 0 if all(tally.whole for tally in tallies) else 1


if __name__ == "__main__":
    sys.exit(main())
