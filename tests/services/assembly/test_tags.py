"""Which tags survive."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from drapto.core.media import MediaInfo, Track, TrackKind
from drapto.services.assembly.tags import global_tags, track_tags


def track(tags: dict[str, str], language: str | None = None, title: str | None = None) -> Track:
    return Track(
        index=0,
        kind=TrackKind.AUDIO,
        codec="aac",
        time_base=Fraction(1, 1000),
        tags=tags,
        language=language,
        title=title,
    )


STALE = {
    "BPS": "1", "BPS-eng": "1", "DURATION": "1", "DURATION-eng": "1", "NUMBER_OF_FRAMES": "1",
    "NUMBER_OF_BYTES-eng": "1", "_STATISTICS_WRITING_APP": "x", "_STATISTICS_TAGS-eng": "x",
    "_STATISTICS_WRITING_DATE_UTC-eng": "x", "SOURCE_ID-eng": "001100", "vendor_id": "FFMP",
    "handler_name": "SoundHandler",
}  # fmt: skip


@pytest.mark.parametrize("encoded", [True, False])
def test_stale_tags_of_a_track_are_left_out_and_others_kept(encoded: bool) -> None:
    kept = {"COMMENT": "nice", "creation_time": "2020-01-01T00:00:00Z"}
    assert track_tags(track(STALE | kept), encoded=encoded) == kept


def test_encoder_tag_goes_when_the_track_is_encoded_again_and_stays_with_a_copy() -> None:
    source = track({"ENCODER": "Lavc aac", "ENCODER_OPTIONS": "b=1"})
    assert track_tags(source, encoded=True) == {}
    assert track_tags(source, encoded=False) == source.tags


def test_language_and_title_come_from_the_track_and_appear_once() -> None:
    source = track({"LANGUAGE": "ger", "TITLE": "Ton"}, language="ger", title="Ton")
    assert track_tags(source, encoded=True) == {"language": "ger", "title": "Ton"}


def test_mp4_track_name_becomes_the_title() -> None:
    assert track_tags(track({"name": "Kommentar"}), encoded=True) == {"title": "Kommentar"}


@pytest.mark.parametrize(
    "handler",
    ["VideoHandler", "Core Media Audio", "\x1fMainconcept Video Media Handler", "GPAC ISO Audio"],
)
def test_handler_names_that_tools_make_up_are_left_out(handler: str) -> None:
    assert track_tags(track({"handler_name": handler}), encoded=True) == {}


def test_handler_name_that_says_something_is_kept() -> None:
    tags = {"handler_name": "Director's commentary"}
    assert track_tags(track(tags), encoded=True) == tags


def test_global_tags_lose_brands_and_the_writing_program_only() -> None:
    media = MediaInfo(
        path=Path("a"),
        format_name="mov",
        size_bytes=1,
        tags={"major_brand": "isom", "ENCODER": "Lavf", "title": "T", "ARTIST": "A", "DATE": "2"},
    )
    assert global_tags(media) == {"title": "T", "ARTIST": "A", "DATE": "2"}
