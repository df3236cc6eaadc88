"""`coprocd`: the daemon's command. The keeper starts it; `coprocctl daemon start` is how a person does."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from coprocd import __version__
from coprocd.daemon import Daemon
from coprocd.platform import descriptors, service
from coprocd.protocol import places
from coprocd.protocol.errors import CoprocdError
from coprocd.settings import Settings, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="coprocd", description="The daemon of coprocd. Start it with `coprocctl daemon start`.")
    parser.add_argument("--socket", default=places.socket_path(), help="where to serve (default: %(default)s)")
    parser.add_argument("--status-fd", type=int, help="where to write READY, or why it did not start")
    parser.add_argument(
        "--check-config", action="store_true", help="only read the settings: exit with 0, or say what is wrong and exit with 1"
    )
    parser.add_argument("--version", action="version", version=f"coprocd {__version__}")
    parser.add_argument("--can-take-over", metavar="LAYOUTS", help=argparse.SUPPRESS)  # asked by `coprocd.installed`
    args = parser.parse_args()
    if args.can_take_over is not None:
        return _answer_can_take_over(args.can_take_over)
    if args.check_config:
        return _check_config()
    logging.basicConfig(format="%(asctime)s %(name)s[%(process)d] %(levelname)s %(message)s", level=logging.INFO)
    faulthandler.enable()  # what the watchdog ends says where it hung
    descriptors.raise_limit()
    if args.status_fd is not None:
        os.set_inheritable(args.status_fd, False)

    def tell(text: str) -> None:
        if args.status_fd is not None:
            with suppress(BrokenPipeError):  # the keeper that wanted to know was killed; another has this daemon now
                os.write(args.status_fd, text.encode())
            os.close(args.status_fd)

    try:
        settings = load(places.config_path())
        retired = asyncio.run(_serve(settings, os.path.abspath(args.socket), lambda: tell("READY\n")))
    except (CoprocdError, OSError) as error:
        print(error, file=sys.stderr)
        service.notify(f"STATUS=Did not start: {error}")
        tell(f"{error}\n")
        return 1
    return service.RETIRED if retired and service.managed() else 0


def _answer_can_take_over(found: str) -> int:
    """Prints the version when it would start and could read what a daemon with the layouts `found` leaves; else says why not."""
    from coprocd.runtime import layouts

    try:
        why = layouts.refusal(json.loads(found))
        load(places.config_path())
    except CoprocdError as error:
        why = error.message
    if why:
        print(f"coprocd {__version__}: {why}", file=sys.stderr)
        return 1
    print(__version__)
    return 0


def _check_config() -> int:
    """Whether a daemon would start with the settings as they are, for `coprocctl doctor`; on stderr also which triggers it would leave out."""
    from coprocd.runtime import profiles

    try:
        load(places.config_path())
    except CoprocdError as error:
        print(error, file=sys.stderr)
        return 1
    if fault := profiles.fault_in(places.config_path()):
        print(f"{fault}; correct it, these triggers are left out", file=sys.stderr)
    return 0


async def _serve(settings: Settings, socket_path: str, on_ready: Callable[[], None]) -> bool:
    """Serves; whether the daemon was told not to come back."""
    daemon = Daemon(settings, socket_path)
    await daemon.serve(on_ready)
    return daemon.retired


if __name__ == "__main__":
    sys.exit(main())
