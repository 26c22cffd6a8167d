"""What the report on one finished film shows: its manifest, and pictures of its worst places.

All figures follow from the manifest, which may be of an older version and hold fewer of them:
what is not known is None or empty, and the page says so.

    report = FilmReport(manifest=manifest, at=now)
    report.worst[0].index       # the segment with the lowest mean
    report.course.kbps          # along the film, segment by segment
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import cached_property

import numpy as np

from drapto.core.manifest import Manifest, SegmentRecord
from drapto.core.media import Value
from drapto.core.quality import Floats, Pool

PLACES = 10  # shown with pictures
_STEP_DIGITS = 6  # a score a rounding error above 100 begins no step of its own


class Still(Value):
    """One frame as a JPEG file, in square pixels, as a player would show it."""

    jpeg: bytes
    width: int
    height: int


class StillPair(Value):
    """The same frame of both files; `frame` counts in the output."""

    frame: int
    source: Still
    output: Still


@dataclass(frozen=True, eq=False)
class Course:
    """Figures along the film. `edges_s` has shape (segments + 1,), all others (segments,).

    Seconds follow from the nominal frame rate: good for people, not for finding a frame.
    """

    edges_s: Floats
    crf: Floats
    kbps: Floats  # kilobits a second
    mean: Floats | None  # None: quality was not measured, or not of every segment
    p5: Floats | None
    cuts_s: Floats


@dataclass(frozen=True, eq=False)
class Histogram:
    """`shares` of the film's frames whose score lies between two `edges`; they sum to 1."""

    edges: Floats
    shares: Floats


class FilmReport(Value):
    """`stills` by the index of the segment; `no_stills` says why there are none, or is empty."""

    manifest: Manifest
    at: datetime
    stills: dict[int, StillPair] = {}
    no_stills: str = ""

    @property
    def frame_rate(self) -> Fraction:
        return self.manifest.frame_rate or self.manifest.settings.frame_rate

    @property
    def frames(self) -> int:
        return sum(segment.frames for segment in self.manifest.segments)

    @property
    def duration_s(self) -> float:
        return self.time_s(self.frames)

    @property
    def video_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self.manifest.segments)

    @property
    def single_crf_bytes(self) -> int | None:
        """The whole file, had all of it been encoded at one CRF and been as good; an estimate."""
        quality = self.manifest.quality
        if quality is None or quality.single_crf is None or not self.manifest.segments:
            return None
        beside = self.manifest.output_bytes - self.video_bytes
        return max(0, beside) + quality.single_crf.video_bytes

    @property
    def pooled(self) -> float | None:
        """The film's score in the pool that its target is of; None if nothing was measured."""
        quality = self.manifest.quality
        if quality is None:
            return None
        film = quality.film
        pools = {Pool.MEAN: film.mean, Pool.HARMONIC: film.harmonic, Pool.P5: film.p5}
        return pools[quality.pool]

    @property
    def encoding_cpu_s(self) -> float:
        return sum(segment.cpu_s for segment in self.manifest.segments)

    def stage_s(self, stage: str) -> float | None:
        """Wall time of a stage; None if the manifest does not say."""
        found = [time.wall_s for time in self.manifest.stages if time.stage == stage]
        return sum(found) if found else None

    def time_s(self, frame: int) -> float:
        return float(frame / self.frame_rate)

    def crf_of(self, segment: SegmentRecord) -> float:
        return self.manifest.settings.crf if segment.crf is None else segment.crf

    def kbps_of(self, segment: SegmentRecord) -> float:
        return segment.size_bytes * 8 / 1000 / self.time_s(max(1, segment.frames))

    @cached_property
    def course(self) -> Course | None:
        """None without segments."""
        segments = self.manifest.segments
        if not segments:
            return None
        measured = [segment.quality for segment in segments if segment.quality is not None]
        whole = len(measured) == len(segments)
        frames = [*(segment.start_frame for segment in segments), segments[-1].end_frame]
        return Course(
            edges_s=np.array([self.time_s(frame) for frame in frames]),
            crf=np.array([self.crf_of(segment) for segment in segments]),
            kbps=np.array([self.kbps_of(segment) for segment in segments]),
            mean=np.array([quality.mean for quality in measured]) if whole else None,
            p5=np.array([quality.p5 for quality in measured]) if whole else None,
            cuts_s=np.array([self.time_s(cut) for cut in self.manifest.cuts]),
        )

    @cached_property
    def histogram(self) -> Histogram | None:
        """Of the measured frames, from the segments' bins. None if nothing was measured."""
        parts = [
            (segment.frames, segment.quality.bins)
            for segment in self.manifest.segments
            if segment.quality is not None and segment.quality.bins
        ]
        if not parts:
            return None
        scores = np.concatenate([bins for _, bins in parts])
        weights = np.concatenate([np.full(len(bins), n / len(bins)) for n, bins in parts])
        edges = _even_edges(float(scores.min()), float(scores.max()))
        counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges, weights=weights)
        return Histogram(edges=edges, shares=counts / weights.sum())

    @cached_property
    def worst(self) -> tuple[SegmentRecord, ...]:
        """At most PLACES segments, the lowest mean first; without quality none."""
        measured = [s for s in self.manifest.segments if s.quality is not None]
        return tuple(sorted(measured, key=_mean)[:PLACES])

    @cached_property
    def places(self) -> tuple[SegmentRecord, ...]:
        """Where pictures are taken: the worst segments, else as many evenly over the film."""
        segments = self.manifest.segments
        if self.worst or not segments:
            return self.worst
        spread = np.linspace(0, len(segments) - 1, min(PLACES, len(segments)))
        return tuple(segments[round(place)] for place in spread)


def middle_frame(segment: SegmentRecord) -> int:
    """Where a picture of a segment is taken, since scores of single frames are not kept."""
    return (segment.start_frame + segment.end_frame - 1) // 2


def _mean(segment: SegmentRecord) -> tuple[float, int]:
    return (0.0 if segment.quality is None else segment.quality.mean, segment.index)


def _even_edges(low: float, high: float, most: int = 40) -> Floats:
    """At most so many equal steps of a round width over [low, high]."""
    span = max(high - low, abs(high) * 1e-6, 1e-9)
    power = 10.0 ** np.floor(np.log10(span / most))
    steps = (power * factor for factor in (1, 2, 2.5, 5, 10, 20))
    step = next(step for step in steps if span / step <= most - 1)
    first = np.floor(round(low / step, _STEP_DIGITS))
    count = max(1, int(np.ceil(round(high / step, _STEP_DIGITS)) - first))
    return np.asarray((first + np.arange(count + 1)) * step, dtype=np.float64)
