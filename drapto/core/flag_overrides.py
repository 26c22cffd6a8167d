"""What was decided beside the flags file: overrides, each for one stage and candidate revision.

A rollback, or a person's `drapto flags set`, never rewrites the TOML that somebody wrote. It is
kept apart, holds for the candidate revision it was made for, and leaves a line in an audit log
that only ever grows.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Protocol

from drapto.core.flag_policy import Percent
from drapto.core.media import Value
from drapto.core.routing import Mode, RoutedStage

Evidence = dict[str, str | int | float]


class Override(Value):
    """A mode that takes the place of the file's, as long as the revision is this one."""

    stage: RoutedStage
    revision: str  # the flag's candidate_revision it was made for
    mode: Mode
    percent: Percent | None = None  # None: as the file says
    at: datetime  # UTC
    by: str  # a login name, or 'drapto' for what it did by itself
    why: str = ""  # one plain sentence


class AuditEntry(Value):
    """One line of the audit log: who changed what, when, from what to what, why, and the figures.

    `change` is 'reset' where the override was taken away and the file decides again.
    """

    at: datetime
    by: str
    stage: RoutedStage
    revision: str
    change: Literal["set", "reset"]
    before: str  # the mode before, such as 'canary 5 %'
    after: str  # the mode since then; '' where it is not known
    why: str = ""
    evidence: Evidence = {}
    override: Override | None = None  # what holds since then: the log alone can restore it


class Overrides(Value):
    """All that are kept, and what there is to say about how they were read."""

    kept: tuple[Override, ...] = ()
    warnings: tuple[str, ...] = ()

    def of(self, stage: RoutedStage, revision: str) -> Override | None:
        """The one in force: that of another revision does not count."""
        return next((o for o in self.kept if (o.stage, o.revision) == (stage, revision)), None)


class OverrideSource(Protocol):
    async def read(self) -> Overrides:
        """As they are at this moment, whichever process changed them. Raises nothing."""
        ...


def replay(entries: Iterable[AuditEntry]) -> tuple[Override, ...]:
    """The overrides that the log adds up to."""
    kept: dict[tuple[RoutedStage, str], Override] = {}
    for entry in entries:
        if entry.override is not None:
            kept[entry.stage, entry.revision] = entry.override
        else:
            kept.pop((entry.stage, entry.revision), None)
    return tuple(kept.values())


def last_lifted(
    entries: Iterable[AuditEntry], stage: RoutedStage, revision: str
) -> datetime | None:
    """When the last rollback of a stage and revision ended, None if none did."""
    is_rolled_back, lifted = False, None
    for entry in entries:
        if (entry.stage, entry.revision) != (stage, revision):
            continue
        was, override = is_rolled_back, entry.override
        is_rolled_back = override is not None and override.mode is Mode.ROLLED_BACK
        if was and not is_rolled_back:
            lifted = entry.at
    return lifted


def described(override: Override | None) -> str:
    """'canary 5 %', 'rolled_back', or '' for none."""
    if override is None:
        return ""
    if override.mode is Mode.CANARY and override.percent is not None:
        return f"canary {override.percent:g} %"
    return override.mode.value
