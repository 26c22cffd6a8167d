"""Both sides compared on purpose, on one file: `drapto shadow compare`."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio

from drapto.bootstrap.shadowing import settings_values
from drapto.bootstrap.stages import legacy_stages, make_workshop, new_encoding
from drapto.core.job import EncodeOptions
from drapto.core.offline import OfflineComparison
from drapto.core.routing import RoutedStage, Side
from drapto.infrastructure.candidates import ProcessCandidates
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.ffmpeg.binaries import FfmpegBinary
from drapto.infrastructure.flags.opening import open_flags
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.offline_comparison import OfflineRun, Parts


async def compare_offline(
    settings: Settings,
    binary: FfmpegBinary,
    resources: ResourceManager,
    source: Path,
    options: EncodeOptions,
    *,
    stages: Sequence[RoutedStage],
    repeat: int,
    keep: bool,
    tell: Callable[[str], None],
) -> OfflineComparison:
    """Errors: as `OfflineRun.run`; StateError if it cannot be kept."""
    flags = await anyio.to_thread.run_sync(open_flags, settings)
    legacy = legacy_stages(settings, binary, resources, settings.state_dir / "shadow")
    parts = Parts(
        workshop=make_workshop(settings, binary, resources, settings.state_dir),
        candidates=ProcessCandidates(settings_values(settings), settings.state_dir / "shadow"),
        flags=flags.features,
        encoding={
            Side.LEGACY: legacy.encoding,
            Side.NEW: new_encoding(settings, binary, resources),
        },
        tell=tell,
    )
    found = await OfflineRun(parts, random.Random()).run(
        source, options, stages=stages, repeat=repeat
    )
    if not keep:
        return found
    store = SqliteComparisonStore(settings.state_dir)
    for trial in found.trials:
        await store.record(trial.comparison)
    return found.model_copy(update={"kept": True})
