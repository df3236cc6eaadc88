"""What every session and coprocess of a daemon shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from coprocd.core.event_log import EventLog
from coprocd.keeper.client import KeeperClient
from coprocd.runtime.intake import Intake
from coprocd.runtime.profiles import Profiles
from coprocd.runtime.prompts import Prompts
from coprocd.settings import Settings

if TYPE_CHECKING:
    from coprocd.runtime.commands import Commands
    from coprocd.runtime.screens import Screens


@dataclass(slots=True)
class Context:
    """One a daemon, handed downward."""

    settings: Settings
    keeper: KeeperClient
    intake: Intake
    events: EventLog
    socket_path: str
    profiles: Profiles
    prompts: Prompts = field(default_factory=Prompts)
    commands: Commands = field(init=False)
    """Set by `Sessions`, whose triggers start them."""
    screens: Screens = field(init=False)
    """Set by `Sessions`, too."""
