"""Close codes of our websockets (RFC 6455 §7.4.1): what daemon and clients say, and are told, as a connection ends."""

from __future__ import annotations

NORMAL = 1000
"""It is done: the session or the coprocess has ended, or whoever was there was to go."""

GOING_AWAY = 1001
"""The daemon ends, and another may follow: connect again."""

UNSUPPORTED = 1003
"""A message was none that is known here."""

ABNORMAL = 1006
"""Stands for a connection that ended without a word; never sent."""

POLICY = 1008
"""The daemon has ended what the connection stood for: it stalled, or did not read."""

REASON_BYTES = 123
"""What fits a close frame beside its code."""
