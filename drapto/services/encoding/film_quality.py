"""How good the film became, for the manifest and the summary."""

from __future__ import annotations

from collections.abc import Sequence

from drapto.core.quality import FilmQuality, Measuring, Pool, SegmentQuality, SingleCrf, film_of
from drapto.core.segments import EncodedSegment
from drapto.services.encoding.target_quality import Controller, Outcome, single_crf


def measured_film(measuring: Measuring, segments: Sequence[EncodedSegment]) -> FilmQuality | None:
    """Of a film that was only measured; None unless every segment was."""
    film = _pooled(segments)
    if film is None:
        return None
    return FilmQuality(measuring=measuring, film=film, video_bytes=_bytes(segments))


def steered_film(
    measuring: Measuring,
    segments: Sequence[EncodedSegment],
    control: Controller,
    outcome: Outcome,
) -> FilmQuality | None:
    """Of a film that was brought to a target: also what one CRF would have taken for as much."""
    film = _pooled(segments)
    if film is None:
        return None
    goal = control.goal
    got = {Pool.MEAN: outcome.mean, Pool.HARMONIC: outcome.harmonic, Pool.P5: outcome.p5}[goal.pool]
    crf, video_bytes = single_crf(control.curves, goal.pool, got, control.pixels)
    return FilmQuality(
        measuring=measuring,
        film=film,
        video_bytes=_bytes(segments),
        target=goal.target,
        pool=goal.pool,
        reached=outcome.reached,
        extra_frames=outcome.extra_frames,
        single_crf=SingleCrf(crf=crf, video_bytes=video_bytes),
        notes=outcome.notes,
    )


def mean_crf(segments: Sequence[EncodedSegment], otherwise: float) -> float:
    """Of all frames, in quarters as SVT-AV1 takes them."""
    known = [(done.frames, done.crf) for done in segments if done.crf is not None]
    frames = sum(frames for frames, _ in known)
    if not frames:
        return otherwise
    return round(sum(frames * crf for frames, crf in known) / frames * 4) / 4


def _bytes(segments: Sequence[EncodedSegment]) -> int:
    return sum(done.size_bytes for done in segments)


def _pooled(segments: Sequence[EncodedSegment]) -> SegmentQuality | None:
    parts = [(done.frames, done.quality) for done in segments if done.quality is not None]
    return film_of(parts) if parts and len(parts) == len(segments) else None
