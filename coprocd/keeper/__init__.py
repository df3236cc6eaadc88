"""The keeper: a small process that forks the jobs, holds a duplicate of every descriptor, and reaps.

It reads no session's data and knows nothing of what a record means, so that it never needs to change. `process` is the
keeper itself, `spawn` its forks, `wire` how one talks to it, `client` the daemon's end.
"""
