"""The attach stream in plain values: what a client and the daemon must agree on beside the messages (docs/attach.md)."""

from __future__ import annotations

SUBPROTOCOL = "coprocd.attach.v1"

FRAME_BYTES = 64 << 10
"""A binary frame of output holds so much at most; one of a snapshot or of injected bytes may be larger."""

INPUT_FRAME_BYTES = 128 << 10
"""A frame from a client must be smaller: one that is not closes the connection with 1009. Paste in parts."""

ACK_WINDOW_BYTES = 2 << 20
"""A client that has acked once is sent no more than this beyond its last ack."""
