"""The source must stay what it is while a job reads it.

A source that is deleted, cut off, or still being copied while it is encoded makes any stage fail
in a way that blames something else, or, worse, makes a valid output of half a film. So the
fingerprint of the beginning is compared before the output is published, and whatever failed
with a changed source failed because of that.

Test: tests/end_to_end/test_faults.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drapto.core.errors import (
    InputError,
    ProcessFailedError,
    SegmentFailedError,
    ValidationFailedError,
)
from drapto.core.identity import source_changes
from drapto.services.job.context import JobContext

_BLAMED_ON_A_SOURCE = (InputError, ProcessFailedError, SegmentFailedError, ValidationFailedError)


@asynccontextmanager
async def unchanged_source(job: JobContext) -> AsyncIterator[None]:
    """What fails inside while the source is another is an InputError; the cause is kept."""
    try:
        yield
    except _BLAMED_ON_A_SOURCE as error:
        try:
            await require_unchanged_source(job)
        except InputError as changed:
            raise changed from error
        raise


async def require_unchanged_source(job: JobContext) -> None:
    """Errors: InputError if the source is gone or is not what it was when the job began."""
    created = job.state.checkpoint.created
    if created is None:
        return
    now = await job.workshop.store.fingerprint(job.request.source)
    for change in source_changes(created.source, now):
        job.reporter.resumable = False  # the next run starts afresh
        raise InputError(
            f"{job.request.source} changed while it was being encoded. {change}",
            hint="Run the command again once nothing writes to it any more.",
        )
