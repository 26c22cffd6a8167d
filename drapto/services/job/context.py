"""What every step of a job needs at hand."""

from __future__ import annotations

from dataclasses import dataclass

from drapto.core.job import JobRequest
from drapto.core.media import MediaInfo
from drapto.core.state import StateManager
from drapto.core.workshop import JobPlace, Workshop
from drapto.services.reporting import Reporter
from drapto.services.stages import ServedStages, Stages


@dataclass(frozen=True)
class JobContext:
    request: JobRequest
    media: MediaInfo
    place: JobPlace
    workshop: Workshop
    served: ServedStages
    reporter: Reporter
    state: StateManager

    @property
    def stages(self) -> Stages:
        return self.served.stages
