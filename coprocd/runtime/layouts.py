"""The layouts of what outlives a daemon, each with its number: a daemon reads its own, and takes nothing over that it does not.

A layout grows without a new number: fields of a record that have a default, slots at the end of a header, which are zero where nobody
has stored any. What an older or a newer daemon would read wrongly gets a new number. So one can go to the next version and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from coprocd.runtime import command_state, coprocess_state, intake, output_log, session_state

READ: dict[str, int] = {
    "intake": intake.SCHEMA,
    "log": output_log.SCHEMA,
    "session": session_state.SCHEMA,
    "coprocess": coprocess_state.SCHEMA,
    "command": command_state.SCHEMA,
}
"""What this version reads and writes, by what it is of."""


def refusal(found: Mapping[str, Iterable[int]]) -> str:
    """Why this version cannot take over what has the layouts `found`; empty when it can."""
    for kind, numbers in found.items():
        for number in numbers:
            if READ.get(kind) != number:
                reads = f"reads layout {READ[kind]}" if kind in READ else "knows nothing of it"
                return f"{kind} state has layout {number}, and this version {reads}"
    return ""
