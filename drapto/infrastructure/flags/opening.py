"""Everything about flags, made from settings."""

from __future__ import annotations

from dataclasses import dataclass

from drapto.core.flags import FeatureFlags
from drapto.infrastructure.flags.file import FlagsFile, find_flags_file
from drapto.infrastructure.flags.openfeature import OpenFeatureFlags
from drapto.infrastructure.flags.overrides import OverridesFile
from drapto.infrastructure.settings import Settings


@dataclass(frozen=True)
class Flags:
    """`features` routes jobs; `overrides` is also the latch that an automatic rollback pulls."""

    features: FeatureFlags
    file: FlagsFile
    overrides: OverridesFile


def open_flags(settings: Settings) -> Flags:
    """Reads the flags file; does not write. Errors: UsageError if it is broken."""
    file = FlagsFile(find_flags_file())
    overrides = OverridesFile(settings.state_dir, file)
    return Flags(FeatureFlags(OpenFeatureFlags(file), overrides), file, overrides)
