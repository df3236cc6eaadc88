"""The vocabulary that daemon, keeper and clients share: methods, objects, errors and places.

Pure data: nothing here opens, reads or waits. `methods`, `errors` and `places` import nothing that is slow,
so that a command can use them; `objects` needs msgspec and is the daemon's.
"""
