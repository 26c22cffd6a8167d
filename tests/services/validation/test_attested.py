"""The output need not be decoded again where it holds the packets that were decoded before."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.media import TrackKind
from drapto.core.segments import EncodedSegment
from drapto.infrastructure.ffmpeg.decode import decode_segment, payload_digests
from drapto.infrastructure.ffmpeg.facts import collect_facts
from drapto.infrastructure.ffmpeg.video_track import write_video_track
from drapto.services.validation.attested import with_attested_video
from tests.media import clips
from tests.media.assembling import encode_all, frame_index
from tests.media.outputs import with_flipped_bytes


@pytest.fixture
async def segments(tmp_path: Path) -> list[EncodedSegment]:
    source = clips.simple(tmp_path)
    encoded = encode_all(source, frame_index(source), tmp_path)
    found = [await decode_segment(segment.path) for segment in encoded]
    return [
        segment.model_copy(update={"payload_sha256": one.payload_sha256, "forms": one.forms})
        for segment, one in zip(encoded, found, strict=True)
    ]


@pytest.fixture
async def joined(segments: list[EncodedSegment], tmp_path: Path) -> Path:
    out = tmp_path / "joined.mp4"
    await write_video_track(segments, frame_index(tmp_path / "simple.mkv"), out)
    return out


async def test_same_packets_carry_the_segments_decoding_over(
    segments: list[EncodedSegment], joined: Path
) -> None:
    payload = await payload_digests([segment.path for segment in segments])
    facts = await collect_facts(joined, decode=())
    attested = with_attested_video(facts, segments, payload)
    assert attested is not None
    (video,) = attested.tracks
    assert video.decoded is not None
    really = (await collect_facts(joined, decode={TrackKind.VIDEO})).tracks[0].decoded
    assert really is not None
    assert (video.decoded.frames, video.decoded.forms) == (really.frames, really.forms)


async def test_a_flipped_bit_that_still_decodes_is_not_attested(
    segments: list[EncodedSegment], joined: Path, tmp_path: Path
) -> None:
    payload = await payload_digests([segment.path for segment in segments])
    broken = with_flipped_bytes(joined, tmp_path / "broken.mp4", packet=1)
    facts = await collect_facts(broken, decode=())
    assert with_attested_video(facts, segments, payload) is None


async def test_a_segment_file_that_changed_after_its_decoding_attests_nothing(
    segments: list[EncodedSegment], joined: Path, tmp_path: Path
) -> None:
    changed = with_flipped_bytes(segments[0].path, tmp_path / "changed.mkv", packet=1)
    payload = await payload_digests([changed, *(s.path for s in segments[1:])])
    facts = await collect_facts(joined, decode=())
    assert with_attested_video(facts, segments, payload) is None
    gone = await payload_digests([tmp_path / "gone.mkv", *(s.path for s in segments[1:])])
    assert with_attested_video(facts, segments, gone) is None


async def test_segments_in_another_order_attest_nothing(
    segments: list[EncodedSegment], joined: Path
) -> None:
    swapped = segments[::-1]
    payload = await payload_digests([segment.path for segment in swapped])
    facts = await collect_facts(joined, decode=())
    assert with_attested_video(facts, swapped, payload) is None


async def test_damage_in_a_segment_ends_the_count(
    segments: list[EncodedSegment], tmp_path: Path
) -> None:
    whole = await decode_segment(segments[0].path)
    assert whole.frames == segments[0].frames
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(segments[0].path.read_bytes()[: segments[0].size_bytes // 2])
    assert (await decode_segment(cut)).frames < whole.frames
    assert (await decode_segment(tmp_path / "gone.mkv")).frames == 0
