"""The sans-IO heart: bytes and numbers in, values out. No clock, no descriptor, no event loop.

What is here is tested without a process: the ring's arithmetic and its recovery, silenced ranges, key names, paste,
the length of canonical lines, the event log, and the watch that tells a stall.
"""
