"""The bounds of the API. Every buffer that a peer can fill is one of these; the settings may change them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Given to the listener once and handed down. Sizes are bytes, durations seconds."""

    # Bytes. The longest request line, and the largest websocket message. Holds the largest paste that the input queue takes.
    request_bytes: int = 8 << 20
    # Bytes. The largest body of a POST; a little more than a line, so that what fits one framing fits the other.
    body_bytes: int = 10_000_000
    # Requests. A longer batch is refused whole: it is one message, and its answers are held until the last is there.
    batch_requests: int = 1_000
    # Bytes. Past these answers the rest of a batch is not run any more, but answered `resource_exhausted`.
    batch_answer_bytes: int = 32 << 20
    # Calls. How many of one connection run or wait side by side; more are not read until one has ended.
    calls_in_progress: int = 256
    # Calls. How many of one connection may have begun and not come to their end or their first wait: others get their turn, and a
    # peer that asks for much and reads nothing is noticed after this many answers.
    calls_at_once: int = 16
    # Bytes. A connection with more than this unsent is not read, and its subscriptions wait in the event log.
    unsent_bytes: int = 1 << 20
    # Bytes. How much is handed to the transport at a time.
    write_bytes: int = 64 << 10
    # Subscriptions of one connection: each is looked at on every event.
    subscriptions: int = 100
    # Connections. Each costs a descriptor of those that sessions need too; more wait in the kernel's backlog.
    connections: int = 4_096
    # Connections that wait in the kernel to be accepted: a restart of the daemon is a moment in which nobody accepts.
    backlog: int = 4_096
    # Seconds. How long the calls of a peer that has hung up may still run: what was sent just before is done, what waits is ended.
    hangup_grace_s: float = 1.0
    # Seconds. How long accepting pauses when descriptors have run out, unless a connection ends before.
    accept_pause_s: float = 1.0
