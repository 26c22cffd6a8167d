"""What shadow runs leave behind, and what they need from outside: the Protocols of both.

`infrastructure/comparison_store.py` keeps the history, the overrides file of the flags is the
latch; `services/rollback.py` reads the one and pulls the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from drapto.core.comparison import Comparison, Served
from drapto.core.routing import RoutedStage, Side


class ServedHistory(Protocol):
    """Every job's stage that was served, of all processes that share the state directory.

    Safe to use from several processes and tasks at once. Errors: StateError.
    """

    async def record_served(self, served: Served) -> None:
        """Durable when it returns: the next reader, in any process, sees it."""
        ...

    async def served(
        self,
        stage: RoutedStage,
        revision: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        side: Side | None = None,
    ) -> tuple[Served, ...]:
        """The newest `limit` that ended at `since` or later, oldest first by `at`.

        `revision` None: of every revision; `limit` None: all; `side` None: both, else those
        whose `side` it is (a small canary has few of the new side among many of legacy's).
        """
        ...


class ComparisonHistory(Protocol):
    """Every comparison, of all processes that share the state directory.

    Safe to use from several processes and tasks at once. Errors: StateError.
    """

    async def record(self, comparison: Comparison) -> None:
        """Durable when it returns. One that is there already (same id) is left as it is."""
        ...

    async def comparisons(
        self,
        stage: RoutedStage,
        revision: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> tuple[Comparison, ...]:
        """The newest `limit` made at `since` or later, A/A runs included, oldest first by `at`.

        `revision` None: of every revision; `limit` None: all.
        """
        ...


class ComparisonStore(ServedHistory, ComparisonHistory, Protocol):
    """The whole history of shadow runs and served stages."""


class RollbackLatch(Protocol):
    """Sends a stage back to legacy until a person or a new candidate revision clears it."""

    async def roll_back(
        self, stage: RoutedStage, why: str, evidence: Mapping[str, str | int | float]
    ) -> None:
        """Latch, durably: the next route decided, in any process, is legacy.

        `why` is one plain sentence and `evidence` the figures behind it, both for the audit log.
        `evidence["revision"]` is the candidate revision that failed; another one is not
        touched. Rolling back what is rolled back already is no error and changes nothing.
        Errors: StateError, OSError when it cannot be written.
        """
        ...

    async def lifted(self, stage: RoutedStage, revision: str) -> datetime | None:
        """When a rollback of this revision was last lifted (UTC), None if none ever was.

        What happened before then counts no more: a person has looked at it, and one more
        failure must not send the stage back at once. Errors: StateError, OSError.
        """
        ...
