"""Private directories: made 0700, and refused when anybody else could reach into them."""

from __future__ import annotations

import os
import stat

from coprocd.protocol.errors import CoprocdError


def make_private(path: str) -> None:
    """Makes the directory `path`, and what is missing above it; `permission_denied` when it cannot be ours alone.

    A directory that is there is taken when it is a real one, belongs to this user, and nobody else may write to it; or when it
    is one like /tmp, where the system lets nobody touch another's files (root's, with the sticky bit: chmod(1)).
    """
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        found = os.lstat(path)
    except FileExistsError:
        found = os.lstat(path)
    except OSError as error:
        raise CoprocdError(
            "permission_denied", f"cannot make the directory {path}: {error.strerror}; set COPROCD_RUNTIME_DIR to another"
        ) from error
    problem = None
    if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and found.st_mode & stat.S_ISVTX:
        return
    if not stat.S_ISDIR(found.st_mode):
        problem = "is a symbolic link" if stat.S_ISLNK(found.st_mode) else "is no directory"
    elif found.st_uid != os.getuid():
        problem = f"belongs to user {found.st_uid}, not to you ({os.getuid()})"
    elif found.st_mode & 0o022:
        problem = f"can be written to by others (mode {stat.S_IMODE(found.st_mode):o})"
    if problem:
        raise CoprocdError("permission_denied", f"the directory {path} {problem}; remove it, or set COPROCD_RUNTIME_DIR to another")
