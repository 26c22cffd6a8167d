"""What rolls a stage back, from settings. Loaded with every encode, so shadow runs are not."""

from __future__ import annotations

from drapto.core.events import WarningRaised
from drapto.core.interfaces import EventSink
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.flags.opening import Flags
from drapto.infrastructure.settings import Settings
from drapto.services.rollback import PerformanceMonitor, RollbackManager


def make_rollback(settings: Settings, flags: Flags, sink: EventSink) -> RollbackManager:
    """`sink` hears what the history has to say of itself, such as that it was damaged."""

    def warn(message: str) -> None:
        sink.emit(WarningRaised(job="", message=message))

    store = SqliteComparisonStore(settings.state_dir, on_warning=warn)
    return RollbackManager(PerformanceMonitor(store), flags.overrides)
