"""When a job is still the same job."""

from __future__ import annotations

import re

import pytest

from drapto.core.entries import JobCreated, SourceFingerprint
from drapto.core.identity import ENCODE_REVISION, changes, settings_hash
from drapto.core.job import EncodeOptions
from drapto.core.media import CropRect
from tests.core.job_examples import SOURCE, identity


def created(**changed: object) -> JobCreated:
    who = identity()
    return JobCreated(
        source=SOURCE,
        settings_hash=who.settings_hash,
        request=who.request,
        drapto_version="0.1.0",
        ffmpeg_version="9.0",
        encode_revision=ENCODE_REVISION,
    ).model_copy(update=changed)


@pytest.mark.parametrize(
    "options",
    [
        EncodeOptions(crf=30),
        EncodeOptions(preset=7),
        EncodeOptions(encoder="x265"),
        EncodeOptions(crop="off"),
        EncodeOptions(crop=CropRect(width=2, height=2, x=0, y=0)),
        EncodeOptions(audio="copy"),
        EncodeOptions(strict_tracks=True),
        EncodeOptions(video_stream=1),
        EncodeOptions(min_segment_s=2),
        EncodeOptions(max_segment_s=5),
    ],
)
def test_every_option_that_decides_bytes_is_in_the_hash(options: EncodeOptions) -> None:
    usual = settings_hash(EncodeOptions(), ffmpeg_version="9.0")
    assert settings_hash(options, ffmpeg_version="9.0") != usual
    assert len(changes(created(), options, SOURCE, "9.0")) == 1


def test_the_hash_covers_ffmpeg_and_the_encode_revision() -> None:
    usual = settings_hash(EncodeOptions(), ffmpeg_version="9.0")
    assert settings_hash(EncodeOptions(), ffmpeg_version="9.1") != usual
    assert settings_hash(EncodeOptions(), ffmpeg_version="9.0", revision=99) != usual
    assert settings_hash(EncodeOptions(), ffmpeg_version="9.0") == usual


def test_an_unchanged_job_has_no_reason_to_start_afresh() -> None:
    assert changes(created(), EncodeOptions(), SOURCE, "9.0") == ()


def test_reasons_name_what_changed_from_what_to_what() -> None:
    said = changes(created(), EncodeOptions(crf=30, max_segment_s=5), SOURCE, "9.1")
    assert said == (
        "CRF was automatic, now 30.",
        "max segment was 10, now 5.",
        "ffmpeg was 9.0, now 9.1.",
    )
    rect = CropRect(width=640, height=352, x=0, y=4)
    assert changes(created(), EncodeOptions(crop=rect), SOURCE, "9.0") == (
        "crop was auto, now 640:352:0:4.",
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (SOURCE.model_copy(update={"size_bytes": 999}), "had 1000 bytes, now 999"),
        (SOURCE.model_copy(update={"sample_digest": "00"}), "other content"),
        (SOURCE.model_copy(update={"mtime_ns": 6_500_000_000}), "05.000.* now .*06.500"),
    ],
)
def test_a_changed_source_is_told_in_plain_words(source: SourceFingerprint, said: str) -> None:
    (reason,) = changes(created(), EncodeOptions(), source, "9.0")
    assert re.search(said, reason)


def test_a_job_of_another_encode_revision_is_not_gone_on_with() -> None:
    (reason,) = changes(created(encode_revision=0), EncodeOptions(), SOURCE, "9.0")
    assert reason == "Drapto 0.1.0, which began the job, encodes in another way."
    (reason,) = changes(created(settings_hash="other"), EncodeOptions(), SOURCE, "9.0")
    assert reason == "The settings differ."
