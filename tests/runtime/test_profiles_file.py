"""The file of the profiles: edited whole or not at all, watched, and never a reason to forget what held before."""

from __future__ import annotations

import asyncio
import os
import stat
import time
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from coprocd.core.event_log import EventLog
from coprocd.core.trigger_spec import made
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime import profiles
from coprocd.runtime.profiles import Profiles

BELL = made({"regex": r"\d", "action": "bell"})
GOOD = "# mine\n[[profiles.default.triggers]]\nregex = 'a'\naction = \"bell\" # ring\n"


class Scene:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = EventLog(epoch="e", clock=time.time)
        self.changed: list[list[str]] = []
        self.told = asyncio.Event()
        self.events.listen(self.told.set)
        self.profiles = Profiles(str(path), self.events, self.changed.append)

    def regexes(self, profile: str = "default") -> list[str]:
        return [definition.spec.regex for definition in self.profiles.of(profile)]

    def happened(self) -> list[dict[str, Any]]:
        return list(self.events.read())

    async def next_event(self) -> dict[str, Any]:
        """The last event, once there is another."""
        self.told.clear()
        async with asyncio.timeout(30):
            await self.told.wait()
        return self.happened()[-1]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    yield Scene(tmp_path / "coprocd" / "config.toml")


def write(scene: Scene, text: str) -> None:
    scene.path.parent.mkdir(exist_ok=True)
    scene.path.write_text(text)


async def test_without_a_file_there_is_the_default_profile_and_an_edit_makes_the_file(scene: Scene) -> None:
    await scene.profiles.load()
    assert scene.profiles.names() == ["default"] and scene.profiles.fault is None
    (added,) = await scene.profiles.add("default", [BELL])
    assert tomllib.loads(scene.path.read_text()) == {
        "profiles": {"default": {"triggers": [{"id": added.id, "regex": r"\d", "action": "bell"}]}}
    }
    assert stat.S_IMODE(scene.path.stat().st_mode) == 0o600 and stat.S_IMODE(scene.path.parent.stat().st_mode) == 0o700
    assert scene.changed == [["default"]]


async def test_an_edit_keeps_the_rest_of_the_file_its_mode_and_the_link_to_it(scene: Scene) -> None:
    elsewhere = scene.path.parent.parent / "dotfiles.toml"
    elsewhere.write_text(GOOD)
    elsewhere.chmod(0o640)
    scene.path.parent.mkdir()
    scene.path.symlink_to(elsewhere)
    await scene.profiles.load()
    (definition,) = scene.profiles.of("default")
    await scene.profiles.update(definition.id, {"regex": "b", "enabled": False})
    assert scene.path.is_symlink() and stat.S_IMODE(elsewhere.stat().st_mode) == 0o640
    assert elsewhere.read_text() == GOOD.replace("'a'", '"b"') + f'id = "{definition.id}"\nenabled = false\n'
    assert scene.profiles.of("default")[0].id == definition.id and scene.regexes() == ["b"]
    assert sorted(os.listdir(elsewhere.parent)) == ["coprocd", "dotfiles.toml"]


async def test_a_trigger_goes_from_the_file(scene: Scene) -> None:
    write(scene, GOOD + "\n[limits]\nevents_most = 5\n")
    await scene.profiles.load()
    await scene.profiles.remove(scene.profiles.of("default")[0].id)
    assert scene.path.read_text() == "[limits]\nevents_most = 5\n" and scene.regexes() == []
    with pytest.raises(CoprocdError, match="no longer in the file"):
        await scene.profiles.remove("t0")


async def test_an_edit_starts_from_the_file_as_it_is_now(scene: Scene) -> None:
    await scene.profiles.load()
    write(scene, GOOD)
    await scene.profiles.add("default", [BELL], 0)
    assert scene.regexes() == [r"\d", "a"] and "# mine" in scene.path.read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[limits\n", "at line 1, column 8"),
        (GOOD + "instnt = true\n", "profile 'default', trigger 1: a trigger has no field 'instnt'"),
        (GOOD.replace("'a'", "'('"), "profile 'default', trigger 1: "),
        ("[limits]\nx = 1\n", "[limits] has no setting 'x'"),
        ("[limit]\n", "there is no table 'limit'"),
    ],
)
async def test_a_broken_file_changes_nothing_is_told_of_once_and_is_not_written_to(scene: Scene, text: str, said: str) -> None:
    write(scene, GOOD)
    await scene.profiles.load()
    write(scene, text)
    for _ in range(2):
        with pytest.raises(CoprocdError) as refused:
            await scene.profiles.reload()
        assert said in refused.value.message and str(scene.path) in refused.value.message
    with pytest.raises(CoprocdError, match="until it is corrected"):
        await scene.profiles.add("default", [BELL])
    assert scene.path.read_text() == text and scene.regexes() == ["a"] and scene.changed == []
    assert said in (scene.profiles.fault or "")
    assert [event["type"] for event in scene.happened()] == ["config.failed"] and said in scene.happened()[0]["fault"]
    write(scene, GOOD)
    assert await scene.profiles.reload() == []
    assert scene.profiles.fault is None and scene.happened()[-1]["type"] == "config.reloaded"


async def test_a_file_that_cannot_be_read_changes_nothing(scene: Scene) -> None:
    await scene.profiles.load()
    scene.path.mkdir(parents=True)
    with pytest.raises(CoprocdError, match="cannot be read: Is a directory"):
        await scene.profiles.add("default", [BELL])


async def test_what_is_bad_at_the_start_is_left_out_and_told_of(scene: Scene) -> None:
    write(scene, GOOD + "[[profiles.default.triggers]]\nregex = '('\naction = 'bell'\n")
    await scene.profiles.load()
    assert scene.regexes() == ["a"] and "trigger 2" in (scene.profiles.fault or "")
    assert scene.happened()[0]["type"] == "config.failed"


async def test_what_is_saved_by_hand_holds_a_moment_later(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "POLL_S", 0.01)
    await scene.profiles.load()
    scene.profiles.watch()
    write(scene, GOOD)
    assert (await scene.next_event())["profiles"] == ["default"] and scene.regexes() == ["a"]
    write(scene, "[limits\n")
    assert (await scene.next_event())["type"] == "config.failed" and scene.regexes() == ["a"]
    scene.path.unlink()
    assert (await scene.next_event())["profiles"] == ["default"] and scene.regexes() == []


async def test_many_edits_at_once_all_come_into_the_file(scene: Scene) -> None:
    await scene.profiles.load()
    await asyncio.gather(*(scene.profiles.add("default", [made({"regex": f"r{number}", "action": "stop"})]) for number in range(10)))
    assert sorted(scene.regexes()) == sorted(f"r{number}" for number in range(10))
    assert len(tomllib.loads(scene.path.read_text())["profiles"]["default"]["triggers"]) == 10


async def test_triggers_that_say_the_same_are_two(scene: Scene) -> None:
    await scene.profiles.load()
    added = await scene.profiles.add("x", [BELL, BELL])
    assert [definition.id for definition in scene.profiles.of("x")] == [definition.id for definition in added]
    assert len({definition.id for definition in added}) == 2


async def test_a_profile_that_is_full_takes_no_more(scene: Scene) -> None:
    await scene.profiles.load()
    await scene.profiles.add("x", [made({"event": "bell", "action": "stop"})] * profiles.profiles.TRIGGERS_MOST)
    before = scene.path.read_bytes()
    with pytest.raises(CoprocdError, match="remove some first"):
        await scene.profiles.add("x", [BELL])
    assert scene.path.read_bytes() == before


async def test_what_no_toml_can_hold_is_refused(scene: Scene) -> None:
    await scene.profiles.load()
    with pytest.raises(CoprocdError, match="cannot hold None"):
        await scene.profiles.add("x", [made({"regex": "a", "action": "annotate", "parameter": {"a": None}})])
    assert not scene.path.exists() and scene.profiles.names() == ["default"]


async def test_an_unknown_profile_is_refused_with_those_there_are(scene: Scene) -> None:
    write(scene, "[profiles.work]\n")
    await scene.profiles.load()
    with pytest.raises(CoprocdError, match=r"no profile 'wrok' in .*config.toml; there are: default, work"):
        scene.profiles.require("wrok")
