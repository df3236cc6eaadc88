"""Every error that coprocd reports: its stable code, its JSON-RPC number and the exit status a command gives it.

The tree is flat on purpose: an error is its code. The message names the thing, its state and the remedy.

    code                        number   exit
    parse_error                 -32700   1     not JSON (JSON-RPC 2.0 §5.1)
    invalid_request             -32600   1     JSON, but no JSON-RPC request
    method_not_found            -32601   2
    invalid_params              -32602   2
    internal                    -32603   1     a bug of ours, under an incident id
    everything else             -32000…  …     see ERRORS
"""

from __future__ import annotations

# code: (JSON-RPC number, exit status of a command that meets it). Numbers are never reused.
ERRORS: dict[str, tuple[int, int]] = {
    "parse_error": (-32700, 1),
    "invalid_request": (-32600, 1),
    "method_not_found": (-32601, 2),
    "invalid_params": (-32602, 2),
    "internal": (-32603, 1),
    "session_not_found": (-32000, 3),
    "session_ambiguous": (-32001, 3),
    "session_exited": (-32002, 4),
    "name_taken": (-32003, 4),
    "coprocess_already_running": (-32004, 4),
    "no_coprocess": (-32005, 4),
    "spawn_failed": (-32006, 1),
    "invalid_regex": (-32007, 2),
    "trigger_not_found": (-32008, 1),
    "command_not_found": (-32009, 1),
    "input_full": (-32010, 4),
    "precondition_failed": (-32011, 4),
    "session_busy": (-32012, 4),
    "line_too_long": (-32013, 4),
    "offset_lost": (-32014, 1),
    "resource_exhausted": (-32015, 1),
    "permission_denied": (-32016, 1),
    "version_mismatch": (-32017, 1),
    "screen_unavailable": (-32018, 1),
    "timed_out": (-32019, 124),
    "prompt_not_found": (-32020, 1),
}

CODES_BY_NUMBER: dict[int, str] = {number: code for code, (number, _) in ERRORS.items()}

# Exit statuses of coprocctl where there is no error of the daemon's that has one.
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 4
EXIT_NO_DAEMON = 5
EXIT_TIMED_OUT = 124
EXIT_OUR_FAULT = 125


class CoprocdError(Exception):
    """An error that the caller is told of: `code` is one of ERRORS, `data` is JSON and goes along under `error.data`."""

    def __init__(self, code: str, message: str, **data: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    @property
    def number(self) -> int:
        """The JSON-RPC error number."""
        return ERRORS[self.code][0]

    @property
    def exit_status(self) -> int:
        """The exit status of a command that ends with this error."""
        return ERRORS[self.code][1]
