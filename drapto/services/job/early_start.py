"""Begins to encode while detection still runs.

As soon as detection says that the crop is final, every segment whose end is known can be
encoded. That is so from the first second where the picture fills the frame or the crop was
asked for; a letterboxed film has to be seen to its end, since one shot may use the bars.

So has a film of which the beginning is not progressive, unless deinterlacing is off: how its
fields are put together depends on all of it. Where a later part turns out to be interlaced, what
was begun is withdrawn, and the rest waits for the end of the analysis.
"""

from __future__ import annotations

from collections.abc import AsyncIterable

from drapto.core.analysis import (
    CropDecision,
    CropSettled,
    Finding,
    Interlacing,
    InterlacingSoFar,
    Scene,
)
from drapto.core.entries import SegmentsAdded
from drapto.core.interfaces import ScenePlanner
from drapto.core.segments import Segment
from drapto.core.source import SourceVideo
from drapto.services.job.context import JobContext
from drapto.services.job.encoders import Encoders
from drapto.services.planning import TrackDecisions, VideoPlan, plan_video
from drapto.services.segmentation.service import frames_in


class EarlyStart:
    """Listens to the findings of one detection."""

    def __init__(
        self,
        job: JobContext,
        video: SourceVideo,
        decisions: TrackDecisions,
        encoders: Encoders,
        planner: ScenePlanner,
    ) -> None:
        self._job = job
        self._video = video
        self._decisions = decisions
        self._encoders = encoders
        self._planner = planner
        self._ready: list[Segment] = []
        self._scenes: list[Scene] = []
        self._crop: CropDecision | None = None
        self._as_decoded = job.request.options.deinterlace == "off"  # so far, or for certain
        self._given_up = False

    @classmethod
    def if_worth_it(
        cls, job: JobContext, video: SourceVideo, decisions: TrackDecisions, encoders: Encoders
    ) -> EarlyStart | None:
        """None for a short film, whose number of segments decides the number of workers, where
        the segmentation stage has to see the whole analysis, where fields will certainly be put
        together, and where the grain, which all of the film tells, decides how it is encoded."""
        options = job.request.options
        if options.deinterlace not in ("auto", "off"):
            return None
        if options.film_grain == "auto" and decisions.encoder.codes_grain:
            return None
        longest = frames_in(options.max_segment_s, video.index.frame_rate)
        if len(video.index) < longest * job.workshop.machine.cores:
            return None
        planner = job.stages.segmentation.planner(video, options)
        return None if planner is None else cls(job, video, decisions, encoders, planner)

    async def follow(self, findings: AsyncIterable[Finding]) -> None:
        """Until there are no more findings. Errors: UsageError if the encoder refuses."""
        async for finding in findings:
            if isinstance(finding, CropSettled):
                self._crop = finding.decision
            elif isinstance(finding, InterlacingSoFar):
                await self._hear(finding.interlacing)
            else:
                self._ready += self._planner.add_scene(finding.frame)
                self._scenes += [] if finding.scene is None else [finding.scene]
            if self._crop is None or not self._as_decoded or self._given_up:
                continue
            if not self._encoders.started:
                self._encoders.start(self._plan(self._crop))
            if self._ready:
                segments, self._ready = tuple(self._ready), []
                await self._job.state.record(SegmentsAdded(segments=segments))
                self._encoders.submit(self._video, segments, self._scenes)

    async def _hear(self, interlacing: Interlacing) -> None:
        if self._job.request.options.deinterlace == "off":
            return
        self._as_decoded = interlacing is Interlacing.PROGRESSIVE
        if self._encoders.started and not self._as_decoded:
            self._given_up = True
            await self._encoders.withdraw("a later part of the film is interlaced")

    def _plan(self, crop: CropDecision) -> VideoPlan:
        return plan_video(
            self._job.request,
            self._decisions.encoder,
            self._video,
            crop.rect,
            self._video.track.color,
            self._job.workshop.machine,
            None,
            self._job.stages.encoding,
            self._decisions.aim,
        )
