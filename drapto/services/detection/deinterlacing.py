"""From what was decoded to what is encoded: how fields are put together, and what follows from it.

    video, analysis = await settle_on_decoded(reader, video, analysis)
    work = await decide_deinterlacing(reader, video, analysis, options.deinterlace)
    video, analysis = shown(video, analysis, work)      # from here on shown frames are counted

Tests: tests/end_to_end/test_deinterlacing.py.
"""

from __future__ import annotations

import anyio.to_thread

from drapto.core.analysis import FieldOrder, Interlacing, VideoAnalysis
from drapto.core.deinterlacing import (
    DeinterlaceChoice,
    Deinterlacing,
    Method,
    chosen,
    done_by,
    said_of,
    shown_analysis,
)
from drapto.core.interfaces import MediaReader, ProgressCallback
from drapto.core.source import SourceVideo
from drapto.services.detection.pulldown import inverse_telecine


def _unwatched(_frames: int) -> None:
    pass


async def decide_deinterlacing(
    reader: MediaReader,
    video: SourceVideo,
    analysis: VideoAnalysis,
    asked: DeinterlaceChoice,
    on_progress: ProgressCallback = _unwatched,
) -> Deinterlacing:
    """For inverse telecine the film is decoded once more, and where it is of several kinds, because
    most of it may be film after all; twice, if nobody told which field comes first. Errors:
    InputError."""
    work = chosen(asked, analysis)
    if work.method not in (Method.IVTC, Method.MATCH):
        return work
    # Where nobody knows the order, the wrong one shows no rhythm: it leaves frames loose.
    orders = FieldOrder if analysis.field_order is None else (analysis.field_order,)
    tried = []
    for order in orders:
        fields = await reader.field_series(video, order, on_progress)
        tried.append(await anyio.to_thread.run_sync(inverse_telecine, fields, order))
    film = min(tried, key=lambda film: film.loose_frames)
    if work.method is Method.MATCH and film.loose_frames * 2 > len(video.coded):
        return work.model_copy(update={"field_order": film.field_order})
    return film


def shown(
    video: SourceVideo, analysis: VideoAnalysis, work: Deinterlacing
) -> tuple[SourceVideo, VideoAnalysis]:
    """Both in numbers of shown frames; as they are where nothing is deinterlaced."""
    if work.is_off:
        return video, analysis
    return video.deinterlaced(work), shown_analysis(analysis, work)


def deinterlacing_notes(video: SourceVideo, analysis: VideoAnalysis) -> tuple[str, ...]:
    """What was found and what will be done, in one sentence; nothing of a progressive film."""
    work, progressive = video.deinterlacing, analysis.interlacing is Interlacing.PROGRESSIVE
    found = said_of(analysis.interlacing, analysis.field_order)
    if not work.is_off:
        return (f"The picture is {found}: {done_by(work, len(video.coded))}.",)
    if "interlacing" in analysis.unreported and video.track.interlaced:
        return (
            "The stream calls itself interlaced, but the scripts that looked at it do not tell "
            "whether it is, so it is encoded as it is; --deinterlace can name a method.",
        )
    if progressive:
        return ()
    return (f"The picture is {found}; it is encoded as it is, without deinterlacing.",)


async def settle_on_shown(
    reader: MediaReader, video: SourceVideo, analysis: VideoAnalysis, asked: DeinterlaceChoice
) -> tuple[SourceVideo, VideoAnalysis]:
    """Both steps in one, for those who keep no record. Errors: InputError."""
    work = await decide_deinterlacing(reader, video, analysis, asked)
    return shown(video, analysis, work)
