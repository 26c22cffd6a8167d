"""Between what is remembered of finished films and what the controller learns from."""

from __future__ import annotations

import math
from collections.abc import Sequence

from drapto.core.film_memory import RememberedAttempt, RememberedFilm, RememberedSegment
from drapto.core.interfaces import Encoder
from drapto.core.quality import SegmentQuality
from drapto.core.segments import VideoSettings
from drapto.services.encoding.target_quality import (
    ORDINARY,
    SOURCES,
    Attempt,
    Controller,
    FinishedFilm,
    Piece,
    Prior,
    learnt,
    ordinary,
    unfamiliar,
)

MOST_SEGMENTS = 64  # spread over the film: more say nothing new about it


def remembered(control: Controller, settings: VideoSettings, model: str) -> RememberedFilm:
    """Of a film that was steered to its end."""
    step = max(1, -(-len(control.pieces) // MOST_SEGMENTS))
    attempts: dict[int, list[Attempt]] = {}
    for attempt in control.attempts:
        attempts.setdefault(attempt.index, []).append(attempt)
    return RememberedFilm(
        encoder=settings.encoder,
        preset=settings.preset,
        model=model,
        pixels=control.pixels,
        segments=tuple(
            RememberedSegment(
                frames=piece.frames,
                features=piece.features,
                attempts=tuple(
                    RememberedAttempt(
                        crf=one.crf, size_bytes=one.size_bytes, quality=one.quality.mean
                    )
                    for one in attempts.get(piece.index, ())
                ),
            )
            for piece in control.pieces[::step]
        ),
    )


def prior_from(films: Sequence[RememberedFilm], encoder: Encoder, preset: int) -> Prior:
    """Where a film is expected to begin; `films` are of this encoder and preset. Those that make no
    sense are passed over.

    The shipped curves were measured with svt-av1. Of a graphics card, whose presets are others,
    they say little, and its own films soon say more.
    """
    sound = [film for one in films if (film := _finished(one)) is not None]
    if encoder.needs_device:
        return learnt(unfamiliar(ORDINARY), sound, sources=SOURCES)
    return learnt(ordinary(preset), sound)


def _finished(film: RememberedFilm) -> FinishedFilm | None:
    features = len(ORDINARY.weights[0]) - 1
    if film.pixels < 1 or not film.segments:
        return None
    for segment in film.segments:
        sound = (
            segment.frames > 0
            and len(segment.features) == features
            and all(map(math.isfinite, segment.features))
            and all(0 <= one.quality <= 100 and 0 < one.crf <= 63 for one in segment.attempts)
        )
        if not sound:
            return None
    return FinishedFilm(
        pieces=tuple(
            Piece(index, segment.frames, segment.features)
            for index, segment in enumerate(film.segments)
        ),
        attempts=tuple(
            Attempt(index, one.crf, one.size_bytes, SegmentQuality.of_scores([one.quality]))
            for index, segment in enumerate(film.segments)
            for one in segment.attempts
        ),
        pixels=film.pixels,
    )
