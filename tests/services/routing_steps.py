"""What the tests of the router do with a job, stage by stage."""

from __future__ import annotations

from drapto.core.analysis import Scene, VideoAnalysis
from drapto.core.comparison import Served
from drapto.core.job import EncodeOptions
from drapto.core.routing import RoutedStage
from drapto.core.segments import EncodedSegment, SegmentTask
from drapto.services.encoding.longest_first import LongestFirst
from drapto.services.router import RoutedJob
from tests.services.routing import FRAMES, Routing, tasks_of

DETECTION, SEGMENTATION, ENCODING = RoutedStage
ALWAYS_COMPARED = "shadow = { sample = 1.0, aa_sample = 0.0 }"


class Accepting:
    """Takes what encoding makes, as a job does."""

    def __init__(self, *tasks: SegmentTask, closed: bool = True) -> None:
        self.queue = LongestFirst(tasks)
        self.done: list[EncodedSegment] = []
        if closed:
            self.queue.close()

    async def __call__(self, segment: EncodedSegment) -> None:
        self.done.append(segment)

    async def by(self, job: RoutedJob) -> list[tuple[int, str]]:
        """Encode all; the segments in the order they were accepted, and who encoded each."""
        await job.stages.encoding.encode(
            self.queue,
            workers=1,
            on_progress=lambda _segment, _frames: None,
            on_retry=lambda _segment, _attempt, _reason: None,
            on_done=self,
        )
        return [(done.segment.index, done.digest) for done in self.done]


async def detect(routing: Routing, job: RoutedJob) -> str:
    """Who detected."""
    analysis = await job.stages.detection.analyze(routing.video, EncodeOptions(), lambda _: None)
    return analysis.notes[0]


async def segment(routing: Routing, job: RoutedJob) -> list[int]:
    found = VideoAnalysis(scenes=(Scene(start=0, end=40), Scene(start=40, end=FRAMES)))
    segments = await job.stages.segmentation.plan(routing.video, found, EncodeOptions())
    return [s.end for s in segments]


async def serve(routing: Routing, job: RoutedJob, stage: RoutedStage) -> None:
    if stage is DETECTION:
        await detect(routing, job)
    elif stage is SEGMENTATION:
        await segment(routing, job)
    else:
        await Accepting(*tasks_of(0, 40, FRAMES)).by(job)


async def history(routing: Routing, stage: RoutedStage) -> list[Served]:
    return list(await routing.store.served(stage))
