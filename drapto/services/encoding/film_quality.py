"""How good the film became, for the manifest and the summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drapto.core.errors import QualityMissedError
from drapto.core.film_memory import RememberedFilm
from drapto.core.quality import FilmQuality, Measuring, Pool, Reference, SingleCrf, film_of
from drapto.core.segments import EncodedSegment, VideoSettings
from drapto.services.encoding.learnt_films import remembered
from drapto.services.encoding.longest_first import LongestFirst
from drapto.services.encoding.steered_tasks import SteeredTasks
from drapto.services.encoding.target_quality import Controller, Outcome, single_crf


@dataclass(frozen=True)
class Judgement:
    quality: FilmQuality | None = None  # None: not every segment was measured
    remembered: RememberedFilm | None = None  # what later films can learn; None: nothing steered
    notes: tuple[str, ...] = ()  # what the user has to know


def judge(
    queue: LongestFirst | SteeredTasks,
    segments: Sequence[EncodedSegment],
    settings: VideoSettings,
    measuring: Measuring | None,
) -> Judgement:
    """Of finished segments that came out of `queue`. Errors: QualityMissedError, where every
    segment had to reach the target and one did not."""
    if measuring is None:
        return Judgement()
    measured = _measured_film(measuring, segments)
    if isinstance(queue, LongestFirst):
        return Judgement(measured)
    outcome = queue.outcome
    assert outcome is not None
    if queue.control.goal.strict and not outcome.reached:
        raise QualityMissedError(
            f"The quality that --strict asks for was not reached. {' '.join(outcome.notes)}",
            hint="Without --strict the best that can be had is taken.",
        )
    return Judgement(
        measured and _steered_film(measured, queue.control, outcome),
        _remembered(queue.control, settings, measuring),
        outcome.notes,
    )


def _remembered(
    control: Controller, settings: VideoSettings, measuring: Measuring
) -> RememberedFilm | None:
    """None of a film that its encoder took the grain off: it tells nothing of films with theirs."""
    if measuring.reference is not Reference.SOURCE:
        return None
    return remembered(control, settings, measuring.model)


def _measured_film(measuring: Measuring, segments: Sequence[EncodedSegment]) -> FilmQuality | None:
    parts = [(done.frames, done.quality) for done in segments if done.quality is not None]
    if not parts or len(parts) < len(segments):
        return None
    video_bytes = sum(done.size_bytes for done in segments)
    return FilmQuality(measuring=measuring, film=film_of(parts), video_bytes=video_bytes)


def _steered_film(film: FilmQuality, control: Controller, outcome: Outcome) -> FilmQuality:
    """Also what was aimed at, and what one CRF would have taken for as much."""
    goal = control.goal
    got = {Pool.MEAN: outcome.mean, Pool.HARMONIC: outcome.harmonic, Pool.P5: outcome.p5}[goal.pool]
    crf, video_bytes = single_crf(control.curves, goal.pool, got, control.pixels)
    return film.model_copy(
        update={
            "target": goal.target,
            "pool": goal.pool,
            "reached": outcome.reached,
            "extra_frames": outcome.extra_frames,
            "single_crf": SingleCrf(crf=crf, video_bytes=video_bytes),
            "notes": outcome.notes,
        }
    )


def mean_crf(segments: Sequence[EncodedSegment], otherwise: float) -> float:
    """Of all frames, in quarters as SVT-AV1 takes them."""
    known = [(done.frames, done.crf) for done in segments if done.crf is not None]
    frames = sum(frames for frames, _ in known)
    if not frames:
        return otherwise
    return round(sum(frames * crf for frames, crf in known) / frames * 4) / 4
