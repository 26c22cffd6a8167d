"""The windows of a film, as detection sees them and as encoders get them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drapto.core.analysis import VideoAnalysis
from drapto.core.deinterlacing import DeinterlaceChoice, Deinterlacing, Method, chosen
from drapto.core.estimate import Window
from drapto.core.media import Int64Array
from drapto.core.segments import Segment
from drapto.core.source import SourceVideo
from drapto.core.words import count
from drapto.services.detection.deinterlacing import shown
from drapto.services.estimating.calibration import ordinary_rate
from drapto.services.estimating.film import Seen


@dataclass(frozen=True)
class Sample:
    """`video`, `analysis`, `seen` and `segments` count shown frames; `stills` are coded ones."""

    video: SourceVideo
    analysis: VideoAnalysis
    seen: tuple[Seen, ...]
    segments: tuple[Segment, ...]
    stills: tuple[int, ...]
    decoded: int  # coded frames of the windows
    pre_roll: int  # coded frames decoded on the way to them
    cpu_s: float  # of looking at them
    notes: tuple[str, ...]


def make_sample(
    video: SourceVideo,
    found: VideoAnalysis,
    windows: Sequence[Window],
    sizes: Int64Array | None,
    deinterlace: DeinterlaceChoice,
    cpu_s: float,
) -> Sample:
    """`found` is what was found in `windows`; those of which nothing could be decoded are left out,
    and what they stood for goes to the others."""
    work, notes = _settled(deinterlace, found)
    clean = [window for window in windows if _scenes_in(found, window)]
    if len(clean) < len(windows):
        notes += (f"{count(len(windows) - len(clean), 'window')} could not be decoded.",)
    shown_video, analysis = shown(video, found, work)
    moved = [_shown_window(window, work) for window in clean]
    seen = [
        Seen(
            window=shown_window,
            cuts=_scenes_in(found, window) - 1,
            hint=_hint(video, window, sizes),
        )
        for window, shown_window in zip(clean, moved, strict=True)
    ]
    return Sample(
        video=shown_video,
        analysis=analysis,
        seen=tuple(seen),
        segments=tuple(
            Segment(index=index, start=window.start, end=window.end)
            for index, window in enumerate(moved)
        ),
        stills=tuple((window.start + window.end) // 2 for window in clean),
        decoded=found.decoded_frames,
        pre_roll=sum(window.start - video.coded.key_before(window.start) for window in windows),
        cpu_s=cpu_s,
        notes=notes,
    )


def _settled(
    asked: DeinterlaceChoice, found: VideoAnalysis
) -> tuple[Deinterlacing, tuple[str, ...]]:
    """Which frames inverse telecine leaves out is only known once all of them have been seen."""
    work = chosen(asked, found)
    if work.method is not Method.IVTC:
        return work, ()
    note = (
        "The film is telecined. Which frames repeat others is only looked for in a whole encode; "
        "here they are all counted, and a fifth of them will not be there."
    )
    return work.model_copy(update={"method": Method.MATCH}), (note,)


def _scenes_in(found: VideoAnalysis, window: Window) -> int:
    return sum(window.start <= scene.start < window.end for scene in found.scenes)


def _shown_window(window: Window, work: Deinterlacing) -> Window:
    at = work.shown_frame
    return Window(at(window.start), at(window.end), at(window.first), at(window.last))


def _hint(video: SourceVideo, window: Window, sizes: Int64Array | None) -> float | None:
    if sizes is None:
        return None
    part = slice(window.start, window.end)
    return ordinary_rate(sizes[part], video.coded.key[part])
