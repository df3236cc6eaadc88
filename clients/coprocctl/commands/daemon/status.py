"""`coprocctl daemon status`: what the daemon says about itself."""

from __future__ import annotations

import argparse

from coprocctl.arguments import socket_path
from coprocctl.connection import Connection
from coprocctl.format import age, escaped, lost_line
from coprocctl.output import print_json, print_pairs

ANSWER_TIMEOUT_S = 10.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "When none runs, this exits with 5."


def run(args: argparse.Namespace) -> int:
    with Connection(socket_path(args), ANSWER_TIMEOUT_S) as connection:
        info = connection.call("daemon.info", timeout_s=ANSWER_TIMEOUT_S)
    if args.json:
        print_json(info)
        return 0
    pairs = [
        ("version", f"{info['version']}, python {info['python']}"),
        ("pid", str(info["pid"])),
        ("keeper", str(info["keeper_pid"])),
        ("started by", info["supervisor"]),
        ("up", age(info["uptime_s"])),
        ("socket", info["socket"]),
        ("log", info["log"]),
        ("protocol", f"{info['protocol']['min']} to {info['protocol']['max']}"),
        ("sessions", str(info["sessions"])),
        ("coprocesses", str(info["coprocesses"])),
        ("platform", ", ".join(name if there else f"no {name}" for name, there in info["platform"].items()) or "-"),
    ]
    if info.get("lost"):
        pairs.insert(8, ("lost", lost_line(info["lost"])))
    if info.get("config_fault"):
        pairs.append(("config fault", info["config_fault"]))
    pairs += [
        ("limits" if index == 0 else "", f"{name} {value:g}" if value < 1e6 else f"{name} {value:.0f}")
        for index, (name, value) in enumerate(info["limits"].items())
    ]
    print_pairs([(name, escaped(value)) for name, value in pairs])
    return 0
