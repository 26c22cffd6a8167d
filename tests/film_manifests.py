"""Manifests of a film that never was, for everything that shows one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from drapto.core.job import TrackOutcome
from drapto.core.manifest import Manifest, ManifestRow, RowOutcome, SegmentRecord, StageTime
from drapto.core.quality import FilmQuality, Measuring, SegmentQuality, SingleCrf
from drapto.core.segments import VideoSettings

RATE = Fraction(24000, 1001)


def film_manifest(**fields: Any) -> Manifest:
    """40 segments, measured, 38 % of the source's bytes; `fields` replace those of the manifest."""
    segments = fields.pop("segments", measured_segments(40))
    scores = [score for segment in segments if segment.quality for score in segment.quality.bins]
    quality = FilmQuality(
        measuring=Measuring(model="vmaf_v0.6.1", every=3),
        film=SegmentQuality.of_scores(scores or [0.0]),
        target=95.0,
        extra_frames=310,
        single_crf=SingleCrf(crf=29.5, video_bytes=461_000_000),
        notes=("segment 7 stays below the floor: another encode was not allowed",),
    )
    values = {
        "drapto_version": "0.1.0",
        "created": "2026-01-31T21:04:05+00:00",
        "source": Path("/films/The Long Night (2019).mkv"),
        "output": Path("/films/av1/The Long Night (2019).mkv"),
        "source_bytes": 1_100_000_000,
        "output_bytes": 458_000_000,
        "settings": VideoSettings(
            width=1920, height=800, source_width=1920, source_height=1080, frame_rate=RATE
        ),
        "shift_s": 0.0,
        "rows": (
            row("frame_count", RowOutcome.PASS),
            row("captions", RowOutcome.NAMED, note="closed captions are not carried over"),
        ),
        "tracks": (
            track(0, "video", "encoded", "HEVC -> AV1"),
            track(1, "audio", "converted", "AAC 5.1 -> Opus 256 kb/s", title="Director's cut"),
            track(2, "subtitle", "dropped", "MP4 has no place for it"),
        ),
        "segments": segments,
        "quality": quality,
        "stages": tuple(
            StageTime(stage=stage, wall_s=wall_s)
            for stage, wall_s in (
                *(("probe", 1.2), ("detection", 212.0), ("encoding", 3925.0)),
                *(("assembly", 6.5), ("validation", 11.0)),
            )
        ),
        "cuts": tuple(segment.start_frame for segment in segments[1:]),
        "frame_rate": RATE,
    }
    return Manifest(**{**values, **fields})


def measured_segments(number: int) -> tuple[SegmentRecord, ...]:
    """Segments of which no two are alike, each of 60 to 240 frames; the same every time."""
    chance = np.random.default_rng(5)
    segments, start = [], 0
    for index in range(number):
        frames = int(chance.integers(60, 240))
        middle = 95 + 1.5 * float(chance.standard_normal())
        scores = np.clip(middle + 2.5 * chance.standard_normal(frames), 20, 100)
        segments.append(
            SegmentRecord(
                index=index,
                start_frame=start,
                end_frame=start + frames,
                frames=frames,
                size_bytes=int(frames * chance.uniform(20_000, 120_000)),
                digest="0" * 32,
                attempt=0,
                wall_s=40.0,
                cpu_s=150.0,
                peak_rss_bytes=1 << 30,
                crf=float(round(28 + 2 * chance.standard_normal(), 2)),
                quality=SegmentQuality.of_scores(scores.tolist()),
            )
        )
        start += frames
    return tuple(segments)


def row(check: str, outcome: RowOutcome, *, note: str = "", subject: str = "video") -> ManifestRow:
    return ManifestRow(
        check=check, subject=subject, expected="kept", actual="gone", outcome=outcome, note=note
    )


def track(
    index: int, kind: str, action: str, detail: str, *, title: str | None = None
) -> TrackOutcome:
    return TrackOutcome.model_validate(
        {
            "source_index": index, "kind": kind, "codec": "x", "action": action,
            "detail": detail, "language": "eng", "title": title,
        }
    )  # fmt: skip
