"""What every session and coprocess of a daemon shares."""

from __future__ import annotations

from dataclasses import dataclass

from coprocd.core.event_log import EventLog
from coprocd.keeper.client import KeeperClient
from coprocd.runtime.intake import Intake
from coprocd.runtime.profiles import Profiles
from coprocd.settings import Settings


@dataclass(slots=True)
class Context:
    """One a daemon, handed downward."""

    settings: Settings
    keeper: KeeperClient
    intake: Intake
    events: EventLog
    socket_path: str
    profiles: Profiles
