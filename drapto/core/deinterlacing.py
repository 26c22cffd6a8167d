"""How whole pictures are made of fields, and which frame of the film is which frame of the source.

There are two frame indexes. The *coded* index lists what the decoder yields; detection counts in
it. The *shown* index lists what the encoders get, and everything after detection counts in it:
scenes, segments, tasks, assembly, validation. Without deinterlacing, and wherever one picture is
made of every frame, they are the same. `shown_index` is the only place where one is made of the
other; `shown_frame` and `coded_frame` take numbers across.

Inverse telecine takes out frames that repeat their neighbour. 2:3 pulldown shows four pictures of
film, A B C D, in five frames of two fields each: AA BB BC CD DD. The third repeats a field of B;
the fourth, given the second field of the third, is C. So of every five the third is dropped, the
fourth is woven, and the others are whole already. What is left gets the film's even times again
(`_FILM_TIME`); stretches outside of this rhythm, of `loose` frames, keep their own.

Tests: tests/core/test_deinterlacing.py.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from typing import Literal

import numpy as np

from drapto.core.analysis import FieldOrder, Interlacing, Scene, VideoAnalysis
from drapto.core.frame_index import BoolArray, FrameIndex, Int64Array
from drapto.core.media import Value
from drapto.core.words import count

DeinterlaceChoice = Literal["auto", "off", "bwdif", "bob", "ivtc"]

# Frames before and after a stretch that filters have to see so that its pictures do not depend on
# where it begins: bwdif looks one frame back and one ahead, phase and fieldmatch before it as well.
MARGIN_FRAMES = 4


class Method(StrEnum):
    OFF = "off"  # frames as they are decoded
    BWDIF = "bwdif"  # every frame is two moments: one picture of each, at the first moment
    BOB = "bob"  # the same, a picture of both moments: twice the frames
    MATCH = "match"  # fields go back to the picture they are of; what then still combs: bwdif
    IVTC = "ivtc"  # pictures of film in the rhythm of pulldown; loose frames: as match


class Deinterlacing(Value):
    """What is done to the fields of one film.

    For inverse telecine, in numbers of coded frames: `dropped` are left out, `woven` get the
    later field of the frame before them, both ascending; `loose` are ranges [start, end).
    """

    method: Method = Method.OFF
    field_order: FieldOrder = FieldOrder.TOP_FIRST
    dropped: tuple[int, ...] = ()
    woven: tuple[int, ...] = ()
    loose: tuple[tuple[int, int], ...] = ()

    @property
    def is_off(self) -> bool:
        return self.method is Method.OFF

    @property
    def loose_frames(self) -> int:
        return sum(end - start for start, end in self.loose)

    @property
    def for_all_segments(self) -> Deinterlacing:
        """What is the same for all segments: the method and the field order."""
        return Deinterlacing(method=self.method, field_order=self.field_order)

    @property
    def ticks(self) -> int:
        """Ticks of the filters' clock in one of the source's: a field begins at half a frame."""
        return 2 if self.method is Method.BOB else 1

    def shown_frame(self, coded: int) -> int:
        """The first shown frame at or after this coded one."""
        if self.method is Method.BOB:
            return 2 * coded
        return coded - bisect_left(self.dropped, coded)

    def coded_frame(self, shown: int) -> int:
        """The coded frame whose time this shown one has; `shown` may be one past the last."""
        if self.method is Method.BOB:
            return shown // 2
        coded = shown
        while (wanted := shown + bisect_left(self.dropped, coded + 1)) != coded:
            coded = wanted
        return coded

    def between(self, start: int, end: int) -> Deinterlacing:
        """What of it concerns the coded frames [start, end), counted from `start`."""

        def inside(frames: tuple[int, ...]) -> tuple[int, ...]:
            found = frames[bisect_left(frames, start) : bisect_left(frames, end)]
            return tuple(frame - start for frame in found)

        first = bisect_right(self.loose, start, key=lambda stretch: stretch[1])
        beyond = bisect_left(self.loose, end, key=lambda stretch: stretch[0])
        loose = tuple(
            (max(a, start) - start, min(b, end) - start) for a, b in self.loose[first:beyond]
        )
        update = {"dropped": inside(self.dropped), "woven": inside(self.woven), "loose": loose}
        return self.model_copy(update=update)


UNTOUCHED = Deinterlacing()
"""Every frame as it is decoded."""


def chosen(asked: DeinterlaceChoice, found: VideoAnalysis) -> Deinterlacing:
    """What to do, by what was asked and what was found. For `Method.IVTC` the frames to leave
    out are still to be looked for."""
    method = {
        "auto": _SUITED[found.interlacing],
        "off": Method.OFF,
        "bwdif": Method.BWDIF,
        "bob": Method.BOB,
        "ivtc": Method.IVTC,
    }[asked]
    if method is Method.OFF:
        return UNTOUCHED
    return Deinterlacing(method=method, field_order=found.field_order or FieldOrder.TOP_FIRST)


_SUITED = {
    Interlacing.PROGRESSIVE: Method.OFF,
    Interlacing.TOP_FIELD_FIRST: Method.BWDIF,
    Interlacing.BOTTOM_FIELD_FIRST: Method.BWDIF,
    Interlacing.TELECINED: Method.IVTC,
    Interlacing.MIXED: Method.MATCH,
}


def shown_index(coded: FrameIndex, work: Deinterlacing) -> FrameIndex:
    """The index of what the encoders get. The coded one itself where nothing changes in it."""
    if not len(coded):
        return coded
    if work.method is Method.BOB:
        return _of_fields(coded)
    if work.dropped:
        return _without_repeats(coded, work)
    return coded


def shown_analysis(found: VideoAnalysis, work: Deinterlacing) -> VideoAnalysis:
    """The same findings in numbers of shown frames."""
    if work.method is not Method.BOB and not work.dropped:
        return found
    at = work.shown_frame
    scenes: list[Scene] = []
    for scene in found.scenes:
        start, end = at(scene.start), at(scene.end)
        if end > start:
            scenes.append(scene.model_copy(update={"start": start, "end": end}))
    return found.model_copy(
        update={
            "scenes": tuple(scenes),
            "black_frames": tuple((at(a), at(b)) for a, b in found.black_frames if at(b) > at(a)),
            "flash_frames": tuple(dict.fromkeys(map(at, found.flash_frames))),
            "shape_changes": tuple(
                change.model_copy(update={"frame": at(change.frame)})
                for change in found.shape_changes
            ),
        }
    )


def _of_fields(coded: FrameIndex) -> FrameIndex:
    """Two frames of one: at its own time, and halfway to the next one. As bwdif counts, exactly."""
    following = np.append(coded.pts[1:], coded.pts[-1] + _last_step(coded))
    pts = np.stack((2 * coded.pts, coded.pts + following), axis=1).reshape(-1)
    end = pts[-1] + following[-1] - coded.pts[-1]
    key = np.stack((coded.key, np.zeros_like(coded.key)), axis=1).reshape(-1)
    return FrameIndex(
        time_base=coded.time_base / 2,
        pts=pts,
        duration=np.diff(pts, append=end),
        key=key,
        synthetic=coded.synthetic,
        notes=coded.notes,
    )


# When a film's picture begins, in frames after the dropped frame p before it, by its place after p.
# Each picture lasts 5/4 frames, and C begins with the second field of p itself, half a frame after
# p. Before the first repeat of a stretch the same grid is continued backwards.
_FILM_TIME = {
    1: Fraction(1, 2),
    2: Fraction(7, 4),
    3: Fraction(3),
    4: Fraction(17, 4),
    -1: Fraction(-3, 4),
    -2: Fraction(-2),
    -3: Fraction(-13, 4),
    -4: Fraction(-9, 2),
}
_QUARTERS = 4  # all of them lie on this grid
# Where a rhythm begins or a cut lies in it, the third and fourth of five frames may lack the field
# that goes with one of theirs. They are loose, but film: longer ranges are video.
_FIELDS_SHORT = 2


def _without_repeats(coded: FrameIndex, work: Deinterlacing) -> FrameIndex:
    out = np.array(work.dropped, dtype=np.int64)
    kept = np.setdiff1d(np.arange(len(coded), dtype=np.int64), out)
    video = [(start, end) for start, end in work.loose if end - start > _FIELDS_SHORT]
    own, film = kept * _QUARTERS, _film_quarters(kept, out)
    quarters = np.where(_lie_in(video, kept), own, film)
    quarters[0] = 0  # the picture is there from the beginning
    ends = np.append(coded.pts, coded.pts[-1] + _last_step(coded))
    frame, rest = np.minimum(quarters // _QUARTERS, len(coded) - 1), quarters % _QUARTERS
    pts = ends[frame] * _QUARTERS + rest * (ends[frame + 1] - ends[frame])
    end = coded.end_pts * _QUARTERS
    return FrameIndex(
        time_base=coded.time_base / _QUARTERS,
        pts=pts,
        duration=np.diff(pts, append=max(end, int(pts[-1]) + 1)),
        key=coded.key[kept],
        synthetic=coded.synthetic,
        notes=coded.notes,
    )


def _film_quarters(kept: Int64Array, dropped: Int64Array) -> Int64Array:
    """The time of every kept frame, in quarters of a coded frame."""
    place = np.searchsorted(dropped, kept)
    far = np.iinfo(np.int64).max // 4
    since = kept - np.concatenate(([-far], dropped))[place]
    until = kept - np.concatenate((dropped, [far]))[place]
    grid = {step: int(time * _QUARTERS) for step, time in _FILM_TIME.items()}
    quarters = kept * _QUARTERS
    for step, time in grid.items():
        if step > 0:
            quarters = np.where(since == step, (kept - step) * _QUARTERS + time, quarters)
        else:
            alone = (until == step) & (since > max(grid))
            quarters = np.where(alone, (kept - step) * _QUARTERS + time, quarters)
    return quarters


def _lie_in(ranges: Sequence[tuple[int, int]], frames: Int64Array) -> BoolArray:
    """Which of `frames` lie in one of the ranges [start, end), which are in ascending order."""
    borders = np.array(ranges, dtype=np.int64).reshape(-1)
    inside: BoolArray = np.searchsorted(borders, frames, side="right") % 2 == 1
    return inside


def _last_step(coded: FrameIndex) -> int:
    """How long the last frame lasts; some files do not say."""
    if int(coded.duration[-1]) > 0:
        return int(coded.duration[-1])
    return int(coded.pts[-1] - coded.pts[-2]) if len(coded) > 1 else 1


def said_of(interlacing: Interlacing, order: FieldOrder | None) -> str:
    """'interlaced (top field first)' and the like."""
    first = "" if order is None else f" ({_FIRST[order]})"
    return {
        Interlacing.PROGRESSIVE: "progressive",
        Interlacing.TOP_FIELD_FIRST: "interlaced (top field first)",
        Interlacing.BOTTOM_FIELD_FIRST: "interlaced (bottom field first)",
        Interlacing.TELECINED: f"telecined film{first}",
        Interlacing.MIXED: f"partly interlaced{first}",
    }[interlacing]


def done_by(work: Deinterlacing, frames: int) -> str:
    """What is done to so many coded frames, in words that can follow a colon."""
    if work.method is Method.IVTC:
        left_out = f"{len(work.dropped)} of {count(frames, 'frame')} are repeats and are left out"
        return f"inverse telecine, {left_out}{_loose_said(work)}"
    return {
        Method.OFF: "nothing",
        Method.BWDIF: "bwdif makes one whole picture of every frame",
        Method.BOB: "bwdif makes two whole pictures of every frame",
        Method.MATCH: "fields are put back to their pictures, and bwdif mends what still combs",
    }[work.method]


def _loose_said(work: Deinterlacing) -> str:
    loose = work.loose_frames
    return f"; {count(loose, 'frame')} outside of its rhythm are all kept" if loose else ""


_FIRST = {FieldOrder.TOP_FIRST: "top field first", FieldOrder.BOTTOM_FIRST: "bottom field first"}
