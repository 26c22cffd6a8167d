"""ffmpeg's filters that make whole pictures of fields, for one stretch of a film.

They are the same wherever the film's pictures are needed: in encode commands, ours and those of
legacy scripts, and when the result is measured.

The filters look at neighbours, so they are given MARGIN_FRAMES more on either side. Which frames
those are is fixed by timestamps, so the pictures do not depend on where decoding began, and
frames of the stretch can be named by their number after the first. What comes out keeps its
timestamps, and the caller trims to the frames it wants.

Tests: tests/core/test_deinterlacing.py; with ffmpeg tests/end_to_end/test_deinterlacing.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from drapto.core.analysis import FieldOrder
from drapto.core.deinterlacing import MARGIN_FRAMES, Deinterlacing, Method
from drapto.core.frame_index import FrameIndex
from drapto.core.media import Value


class FieldStretch(Value):
    """The coded frames that shown frames [start, end) are made of.

    `first_pts` and `end_pts`, in `time_base`, that of the source, bound what the filters have to
    see; the first of these frames is `begins_at`. [`shown_first_pts`, `shown_end_pts`), in
    `shown_time_base`, are the wanted frames in what the filters give out. None: to the end.
    `work` names frames by their number after `begins_at`.
    """

    work: Deinterlacing
    begins_at: int
    time_base: Fraction
    first_pts: int
    end_pts: int | None
    shown_time_base: Fraction
    shown_first_pts: int
    shown_end_pts: int | None

    @classmethod
    def of(
        cls, coded: FrameIndex, shown: FrameIndex, work: Deinterlacing, start: int, end: int
    ) -> FieldStretch:
        """For shown frames [start, end)."""
        begins_at = max(0, work.coded_frame(start) - MARGIN_FRAMES)
        ends_at = min(len(coded), work.coded_frame(end - 1) + 1 + MARGIN_FRAMES)
        if work.method is Method.BOB:
            shown_first = int(shown.pts[start])
            shown_end = int(shown.pts[end]) if end < len(shown) else None
        else:
            shown_first = int(coded.pts[work.coded_frame(start)])
            # A frame may come after the last one that only helps to flush the filters.
            past = int(coded.pts[-1]) + 1
            shown_end = int(coded.pts[work.coded_frame(end)]) if end < len(shown) else past
        return cls(
            work=work.between(begins_at, ends_at),
            begins_at=begins_at,
            time_base=coded.time_base,
            first_pts=int(coded.pts[begins_at]),
            end_pts=int(coded.pts[ends_at]) if ends_at < len(coded) else None,
            shown_time_base=coded.time_base / work.ticks,
            shown_first_pts=shown_first,
            shown_end_pts=shown_end,
        )


def field_filters(stretch: FieldStretch, width: int, height: int, bit_depth: int) -> list[str]:
    """To stand before the caller's own trim. `width` and `height` are those of the track.

    Pictures of another size are scaled first, because no filter here takes a change of size; all
    others pass `scale` untouched, so that no line of one field ever mixes with the other's.
    """
    until = "" if stretch.end_pts is None else f":end_pts={stretch.end_pts}"
    tick, shown_tick = _tick(stretch.time_base), _tick(stretch.shown_time_base)
    return [
        f"scale={width}:{height}",
        f"trim=start_pts={stretch.first_pts}{until}",
        *_pictures(stretch.work, bit_depth, tick),
        f"settb={shown_tick}",
        "setfield=prog",  # or encoders would tell players that there are fields
    ]


def _pictures(work: Deinterlacing, bit_depth: int, tick: str) -> list[str]:
    """The method itself. One picture comes out for every frame, two for `bob`."""
    order = work.field_order.value
    if work.method is Method.BWDIF:
        return [f"bwdif=mode=send_frame:parity={order}:deint=all"]
    if work.method is Method.BOB:
        return [f"bwdif=mode=send_field:parity={order}:deint=all"]
    if work.method is Method.MATCH:
        return _matched(work.field_order, bit_depth)
    return [*_woven(work), *_loose(work, bit_depth, tick), *_kept(work)]


def _woven(work: Deinterlacing) -> list[str]:
    """Give frames the later field of the one before them: top first, it is the bottom field."""
    if not work.woven:
        return []
    mode = "t" if work.field_order is FieldOrder.TOP_FIRST else "b"
    return [f"phase=mode={mode}:enable='{_numbers(work.woven)}'"]


def _loose(work: Deinterlacing, bit_depth: int, tick: str) -> list[str]:
    """Frames outside of the rhythm come from a second branch, in which all are matched."""
    if not work.loose:
        return []
    when = "+".join(f"between(n,{start},{end - 1})" for start, end in work.loose)
    branch = ",".join([*_matched(work.field_order, bit_depth), f"settb={tick}"])
    taken = f"blend=all_mode=normal:all_opacity=0:enable='{when}'"
    return [f"split[film][video];[video]{branch}[matched];[film][matched]{taken}"]


def _kept(work: Deinterlacing) -> list[str]:
    return [f"select='not({_numbers(work.dropped)})'"] if work.dropped else []


def _matched(order: FieldOrder, bit_depth: int) -> list[str]:
    """Every frame keeps the field that comes first, and gets the other from the frame before it,
    from itself or, where both comb, from the frame after it; what combs still is deinterlaced.

    Without combmatch=full ffmpeg does not say what combs (seen with 9.0). fieldmatch compares in
    8 bits only. Deeper pictures are compared by an 8-bit copy and pass untouched themselves; in
    that mode it never gives out the last frame, so one more is made for it to keep.
    """
    field = "top" if order is FieldOrder.TOP_FIRST else "bottom"
    match = f"fieldmatch=order={order.value}:field={field}:combmatch=full:mchroma=0"
    if bit_depth > 8:
        copied = "tpad=stop=1:stop_mode=clone,split[compared][deep];[compared]format=yuv420p[luma]"
        match = f"{copied};[luma][deep]{match}:ppsrc=1"
    return [match, f"bwdif=mode=send_frame:parity={order.value}:deint=interlaced"]


def _numbers(frames: Sequence[int]) -> str:
    """An expression that is true for these numbers of frames.

    What repeats every five frames is said in one term: ffmpeg evaluates a sum recursively.
    """
    terms = []
    for first, count in _runs(frames):
        last = first + (count - 1) * _CYCLE
        every = f"between(n,{first},{last})*not(mod(n-{first},{_CYCLE}))"
        terms.append(every if count > 1 else f"eq(n,{first})")
    return "+".join(terms)


_CYCLE = 5  # frames of 2:3 pulldown


def _runs(frames: Sequence[int]) -> list[tuple[int, int]]:
    """(first, count) of frames that are a cycle apart."""
    runs: list[tuple[int, int]] = []
    for frame in frames:
        if runs and frame == runs[-1][0] + runs[-1][1] * _CYCLE:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((frame, 1))
    return runs


def _tick(time_base: Fraction) -> str:
    return f"{time_base.numerator}/{time_base.denominator}"
