"""The decoded truth wins: what follows from frames that the container lists and nobody gets."""

from __future__ import annotations

import numpy as np

from drapto.core.analysis import Scene, VideoAnalysis
from drapto.core.interfaces import MediaReader
from drapto.core.media import FrameIndex
from drapto.core.source import SourceVideo


async def settle_on_decoded(
    reader: MediaReader, video: SourceVideo, analysis: VideoAnalysis
) -> tuple[SourceVideo, VideoAnalysis]:
    """The video with the index that decoding shows to be true, and the analysis in its numbers.

    Both come back as they are where decoding gave what the index lists. Errors: InputError.
    """
    if analysis.decoded_pts is None:
        return video, analysis
    video = await reader.corrected(video)
    return video, realigned(analysis, video.index)


def realigned(analysis: VideoAnalysis, index: FrameIndex) -> VideoAnalysis:
    """The same scenes, numbered by `index`, which they cover once and in order.

    Detection decodes on several frames at once and can lose good frames beside a damaged one,
    so its numbers may be off; the timestamp of a scene's first frame is not.
    """
    if analysis.decoded_pts is None or not len(index):
        return analysis
    times = np.array(analysis.decoded_pts, dtype=np.int64)
    firsts = np.searchsorted(index.pts, times[[scene.start for scene in analysis.scenes]])
    kept: list[tuple[int, Scene]] = []
    for first, scene in zip(firsts.tolist(), analysis.scenes, strict=True):
        start = min(first, len(index) - 1) if kept else 0
        if not kept or start > kept[-1][0]:
            kept.append((start, scene))
    ends = [start for start, _ in kept[1:]] + [len(index)]
    scenes = tuple(
        scene.model_copy(update={"start": start, "end": end})
        for (start, scene), end in zip(kept, ends, strict=True)
    )
    changes = tuple(
        change.model_copy(update={"frame": int(np.searchsorted(index.pts, times[change.frame]))})
        for change in analysis.shape_changes
    )
    update = {"scenes": scenes, "decoded_frames": len(index), "shape_changes": changes}
    return analysis.model_copy(update=update)
