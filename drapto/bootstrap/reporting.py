"""What the comparisons come to: `drapto shadow report` and `drapto shadow show`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import anyio

from drapto.core.comparison import Comparison
from drapto.core.errors import UsageError
from drapto.core.routing import RoutedStage
from drapto.core.shadow_report import ShadowReport
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.flags.opening import Flags, open_flags
from drapto.infrastructure.settings import Settings
from drapto.services.shadow_report import FlagsNow, make_report


async def report_shadows(
    settings: Settings, stages: Sequence[RoutedStage], since: datetime | None
) -> ShadowReport:
    """Errors: UsageError for a broken flags file, StateError for a broken store."""
    flags = await anyio.to_thread.run_sync(open_flags, settings)
    store = SqliteComparisonStore(settings.state_dir)
    now = await flags_now(flags)
    return await make_report(
        store, now, store=store.path, at=datetime.now(UTC), stages=stages, since=since
    )


async def flags_now(flags: Flags) -> FlagsNow:
    """Errors: OSError if the flags file is gone."""
    changed_s = (await anyio.Path(flags.file.place.path).stat()).st_mtime
    return FlagsNow(
        flags=flags.file.last_good,
        overrides=await flags.overrides.read(),
        file_changed=datetime.fromtimestamp(changed_s, UTC),
    )


async def find_comparison(settings: Settings, id: str) -> Comparison:
    """The comparison of that id, or of the only one whose id begins so. Errors: UsageError with
    the ids that are near; StateError."""
    store = SqliteComparisonStore(settings.state_dir)
    found = await store.get(id) if id else None
    if found is not None:
        return found
    near = await store.ids_near(id)
    hint = "None is stored yet: `drapto shadow report` says how to get some."
    if near:
        hint = f"Near to it: {', '.join(near)}. `drapto shadow report` lists the worst ones."
    raise UsageError(f"There is no comparison '{id}'.", hint=hint)
