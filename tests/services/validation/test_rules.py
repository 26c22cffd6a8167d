"""The rules of comparison on plain values: timestamps, pairing of tracks, the manifest."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.errors import ValidationFailedError
from drapto.core.facts import FileFacts, TrackFacts
from drapto.core.job import TrackOutcome
from drapto.core.manifest import Manifest, ManifestRow, RowOutcome
from drapto.core.media import FrameIndex, MediaInfo, Track, TrackKind
from drapto.core.segments import VideoSettings
from drapto.core.tracks import Container, MuxPlan, TrackPlan
from drapto.services.validation.matching import match_tracks
from drapto.services.validation.timestamps import shift_s, video_rows
from drapto.services.validation.tracks import track_rows

MILLISECOND = Fraction(1, 1000)


def video_track(pts: list[int], time_base: Fraction = MILLISECOND, last: int = 40) -> TrackFacts:
    steps = [*np.diff(pts).tolist(), last]
    return TrackFacts(
        index=0,
        kind=TrackKind.VIDEO,
        codec="av1",
        time_base=time_base,
        pts=np.array(pts, dtype=np.int64),
        duration=np.array(steps, dtype=np.int64),
        size_bytes=np.ones(len(pts), dtype=np.int64),
        payload_sha256="",
        payload_bytes=len(pts),
    )


def index_at(pts: list[int], time_base: Fraction, last: int) -> FrameIndex:
    steps = [*np.diff(pts).tolist(), last]
    return FrameIndex(
        time_base,
        np.array(pts, dtype=np.int64),
        np.array(steps, dtype=np.int64),
        np.ones(len(pts), dtype=np.bool_),
    )


def outcome_of(check: str, index: FrameIndex, output: TrackFacts) -> RowOutcome:
    rows = video_rows(index, output, Container.MATROSKA)
    return next(row.outcome for row in rows if row.check == check)


# Steps of 5 ms to 0.7 s in 1/90000, as in a transport stream of variable rate.
_STEPS = st.lists(st.integers(450, 63_000), min_size=1, max_size=60)


@given(steps=_STEPS, start=st.integers(-900_000, 2**33), shift=st.floats(-90_000, 90_000))
def test_rounding_to_milliseconds_after_any_one_shift_is_always_allowed(
    steps: list[int], start: int, shift: float
) -> None:
    index = index_at(
        [start + s for s in np.cumsum([0, *steps]).tolist()], Fraction(1, 90_000), 3600
    )
    rounded = [round(pts / 90 + shift * 1000) for pts in index.pts.tolist()]

    output = video_track(rounded)

    assert outcome_of("timestamps", index, output) is RowOutcome.PASS
    assert shift_s(index, output) == pytest.approx(shift, abs=0.001)


@given(steps=st.lists(st.integers(900, 63_000), min_size=3, max_size=60), data=st.data())
def test_one_frame_off_by_three_milliseconds_is_always_found(
    steps: list[int], data: st.DataObject
) -> None:
    index = index_at(np.cumsum([0, *steps]).tolist(), Fraction(1, 90_000), 3600)
    moved = [round(pts / 90) for pts in index.pts.tolist()]
    moved[data.draw(st.integers(0, len(moved) - 1))] += 3

    assert outcome_of("timestamps", index, video_track(moved)) is RowOutcome.FAIL


@given(frames=st.integers(3, 200), data=st.data())
def test_a_missing_frame_is_counted_and_never_moves_the_rest(
    frames: int, data: st.DataObject
) -> None:
    pts = [40 * n for n in range(frames)]
    missing = data.draw(st.integers(1, frames - 1))  # the first could as well be the last
    output = video_track([p + 1000 for n, p in enumerate(pts) if n != missing])

    index = index_at(pts, MILLISECOND, 40)

    assert outcome_of("frame_count", index, output) is RowOutcome.FAIL
    assert shift_s(index, output) == pytest.approx(1.0)


def test_a_last_frame_that_matroska_cannot_time_is_named_and_one_in_mp4_fails() -> None:
    index = index_at([0, 40, 80], MILLISECOND, 500)
    output = video_track([0, 40, 80], last=40)

    by_container = {
        container: next(
            r.outcome for r in video_rows(index, output, container) if r.check == "video_duration"
        )
        for container in (Container.MATROSKA, Container.MP4)
    }

    assert by_container == {Container.MATROSKA: RowOutcome.NAMED, Container.MP4: RowOutcome.FAIL}


def audio(index: int, language: str | None = None, title: str | None = None) -> Track:
    return Track(
        index=index,
        kind=TrackKind.AUDIO,
        codec="opus",
        time_base=MILLISECOND,
        language=language,
        title=title,
        channels=2,
    )


def plans(*tracks: Track) -> tuple[TrackPlan, ...]:
    return tuple(
        TrackPlan(
            source=track,
            action="encode",
            codec="opus",
            outcome=TrackOutcome(
                source_index=track.index, kind="audio", codec="aac", action="encoded", detail=""
            ),
        )
        for track in tracks
    )


def facts_of(*tracks: Track) -> FileFacts:
    return FileFacts(MediaInfo(path=Path("x"), format_name="", size_bytes=1, tracks=tracks), ())


def pairing(planned: tuple[Track, ...], found: tuple[Track, ...]) -> list[int | None]:
    matching = match_tracks(plans(*planned), facts_of(), facts_of(*found))
    return [m.output.index if m.output is not None else None for m in matching.tracks]


def test_tracks_are_paired_by_what_they_are_called_before_their_place() -> None:
    planned = (audio(1, "eng"), audio(2, "fre"), audio(3, "eng", "Commentary"))

    assert pairing(planned, (audio(1, "fre"), audio(2, "eng", "Commentary"), audio(3, "eng"))) == [
        3, 1, 2,
    ]  # fmt: skip


def test_tracks_that_look_alike_are_paired_by_their_place() -> None:
    assert pairing((audio(1), audio(2)), (audio(1), audio(2))) == [1, 2]


def test_a_track_with_a_wrong_language_is_still_that_track() -> None:
    assert pairing((audio(1, "eng"), audio(2, "ger")), (audio(1, "eng"), audio(2, "eng"))) == [1, 2]


def test_a_missing_track_leaves_its_neighbours_to_their_own() -> None:
    assert pairing((audio(1, "eng"), audio(2, "ger")), (audio(1, "ger"),)) == [None, 1]


@pytest.mark.parametrize(
    ("container", "outcome"),
    [
        (Container.MATROSKA, RowOutcome.FAIL),
        (Container.WEBM, RowOutcome.FAIL),
        (Container.MP4, RowOutcome.NAMED),
    ],
)
def test_a_lost_language_tag_is_named_only_where_there_is_no_room(
    container: Container, outcome: RowOutcome
) -> None:
    wanted = audio(1, "por").model_copy(update={"language_tag": "pt-BR"})
    source, output = facts_of(wanted), facts_of(audio(1, "por"))
    (entry,) = plans(wanted)
    plan = MuxPlan(container=container, video=entry, tracks=(entry,))
    rows = track_rows(plan, match_tracks(plan.tracks, source, output), source, output)
    assert {row.outcome for row in rows if row.check == "language_tag"} == {outcome}


def manifest_of(*rows: ManifestRow) -> Manifest:
    return Manifest(
        drapto_version="0",
        created="2026-01-01T00:00:00+00:00",
        source=Path("film.mkv"),
        output=Path("out.mkv"),
        source_bytes=2,
        output_bytes=1,
        settings=VideoSettings(width=320, height=180, source_width=320, source_height=180),
        shift_s=0.0,
        rows=rows,
    )


def a_row(check: str, outcome: RowOutcome) -> ManifestRow:
    return ManifestRow(
        check=check, subject="video", expected="72", actual="71", outcome=outcome, tolerance="± 0"
    )


def test_a_failed_manifest_raises_one_paragraph_that_names_its_rows() -> None:
    manifest = manifest_of(
        a_row("codec", RowOutcome.PASS),
        a_row("frame_count", RowOutcome.FAIL),
        a_row("track_dropped", RowOutcome.NAMED),
    )

    with pytest.raises(ValidationFailedError) as raised:
        manifest.raise_if_failed()

    assert raised.value.exit_code == 5
    assert "frame_count of video: expected 72 (allowed: ± 0), found 71" in raised.value.message
    assert "codec" not in raised.value.message and "\n" not in raised.value.message


def test_named_rows_fail_nothing() -> None:
    manifest = manifest_of(a_row("track_dropped", RowOutcome.NAMED))
    assert manifest.ok
    assert manifest.failed == ()
    manifest.raise_if_failed()


def test_a_manifest_comes_back_from_its_own_json() -> None:
    manifest = manifest_of(a_row("frame_count", RowOutcome.FAIL))

    text = manifest.to_json()

    assert Manifest.from_json(text) == manifest
    assert text.startswith('{\n  "ok": false,') and text.endswith("\n")
