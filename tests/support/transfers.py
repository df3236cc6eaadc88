"""A shell at its prompt, and the file transfers that people start in it: zmodem (lrzsz) and trzsz, by triggers and small scripts of the usual form."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from support.live import Live

PROMPT = b"ready> "

SEND = """\
#!/bin/sh
# What the file is, is asked of a person elsewhere.
sz "$(cat {place}/chosen)" -e -b >&1 2>{place}/sz.log
sleep 1
echo
"""
RECEIVE = """\
#!/bin/sh
cd {place}/here || exit
rz -E -e -b 2>{place}/rz.log
sleep 1
echo
"""
CANCEL = """\
#!/bin/sh
printf '\\030\\030\\030\\030\\030\\030\\030\\030\\030\\030\\010\\010\\010\\010\\010\\010\\010\\010\\010\\010'
sleep 1
echo
"""


ASK = """\
#!/bin/sh
# Stands in for macOS's osascript, by which trzsz-iterm2 asks a person for the files to send.
cat {place}/chosen
"""


def tools_missing() -> str:
    """Why no zmodem transfer can be tried here; empty where it can."""
    return "" if shutil.which("sz") and shutil.which("rz") else "lrzsz is not installed"


def document(place: Path, **scripts: str) -> str:
    """The two zmodem triggers and trzsz's, in iTerm2's JSON, with the scripts in `place`."""
    script = {f"{name}.sh": text for name, text in ({"send": SEND, "receive": RECEIVE} | scripts).items()}
    for name, text in {**script, "bin/osascript": ASK}.items():
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(place=place))
        path.chmod(0o755)
    silent = {"action": "MuteCoprocessTrigger", "partial": True}
    return json.dumps(
        {
            "Name": "transfers",
            "Triggers": [
                silent | {"regex": r"rz waiting to receive.\*\*B0100", "parameter": f"{place}/send.sh"},
                silent | {"regex": r"\*\*B00000000000000", "parameter": f"{place}/receive.sh"},
                {
                    "action": "MuteCoprocessTrigger",
                    "regex": r":(:TRZSZ:TRANSFER:[SRD]:\d+\.\d+\.\d+:\d+)",
                    "parameter": rf"trzsz-iterm2 -d {place}/here \1",
                },
            ],
        }
    )


class Shell:
    """A session with bash at its prompt, and what it printed since the last look."""

    def __init__(self, daemon: Live, place: Path, scripts: dict[str, str] | None = None) -> None:
        self.daemon, self.place = daemon, place
        for name in ("here", "there"):
            (place / name).mkdir(exist_ok=True)
        path = f"{place}/bin:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        env = {"PS1": PROMPT.decode(), "PATH": path, "TMPDIR": str(place), "LC_ALL": "C.UTF-8", "PROMPT_COMMAND": None}
        self.session = daemon.create("bash", "--norc", "--noprofile", cwd=str(place / "there"), env=env)
        imported = daemon.call("trigger.import", session=self.session, document=document(place, **(scripts or {})))
        assert len(imported["added"]) == 3 and not imported["disabled"] and not imported["rejected"], imported
        daemon.output(self.session, PROMPT)

    def type(self, line: str) -> int:
        """Types a line at the prompt; the offset before it."""
        return int(self.daemon.call("session.send_text", session=self.session, text=line, enter=True)["offset"])

    def transfer(self, line: str) -> bytes:
        """Types `line`, awaits the end of the coprocess that it leads to and the next prompt; what a screen shows of it."""
        begun = self.type(line)
        end = self.daemon.ended(self.session)
        self.ended = end
        return self.shown_from(begun)

    def shown_from(self, offset: int) -> bytes:
        """What is shown from `offset` to the next prompt, which a silent coprocess does not keep to itself."""
        shown, at = b"", offset
        while not shown.endswith(PROMPT):
            read = self.daemon.call("session.read", session=self.session, from_offset=at, wait_s=20)
            data, start = base64.b64decode(read["data_b64"]), read["offset"]
            for begin, end in reversed(read["silent"]):
                data = data[: begin - start] + data[end - start :]
            shown, at = shown + data, read["next_offset"]
        return shown


def chosen(place: Path, name: str, data: bytes) -> Path:
    """A file that a person, or the script in their place, will choose to send."""
    path = place / name
    path.write_bytes(data)
    (place / "chosen").write_text(str(path))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
