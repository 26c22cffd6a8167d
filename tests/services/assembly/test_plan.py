"""The mux plan: every track named once, nothing lost in silence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drapto.core.errors import InputError, UsageError
from drapto.core.job import EncodeOptions
from drapto.core.media import Attachment, Chapter, MediaInfo, Track, TrackKind
from drapto.core.tracks import Container, MuxPlan
from drapto.services.assembly.containers import holds_audio, subtitle_fate
from drapto.services.assembly.service import plan_mux

FONT = Attachment(filename="a.ttf", mimetype="font/ttf", size_bytes=3, sha256="0" * 64)


def track(index: int, kind: TrackKind, codec: str, **more: Any) -> Track:
    sound = {"channels": 2, "channel_layout": "stereo"} if kind is TrackKind.AUDIO else {}
    given = {"time_base": Fraction(1, 1000), **sound, **more}
    return Track.model_validate({"index": index, "kind": kind, "codec": codec, **given})


VIDEO = track(0, TrackKind.VIDEO, "h264")
COVER = {"dispositions": frozenset({"attached_pic"})}


def media(*tracks: Track, **more: Any) -> MediaInfo:
    facts = {"path": Path("in.mkv"), "format_name": "matroska,webm", "size_bytes": 1}
    return MediaInfo.model_validate({**facts, "tracks": tracks, **more})


def plan(source: MediaInfo, container: Container = Container.MATROSKA, **options: Any) -> MuxPlan:
    chosen = EncodeOptions.model_validate(options)
    return plan_mux(source, VIDEO, video_codec="av1", container=container, options=chosen)


KINDS = {
    TrackKind.VIDEO: ["h264", "mjpeg", "png", "webp"],
    TrackKind.AUDIO: ["aac", "ac3", "dts", "opus", "ac4", "pcm_bluray", "unknown", "truehd"],
    TrackKind.SUBTITLE: ["subrip", "mov_text", "hdmv_pgs_subtitle", "ttml", "webvtt", "unknown"],
    TrackKind.DATA: ["unknown", "bin_data", "klv"],
}


@st.composite
def sources(draw: st.DrawFn) -> MediaInfo:
    tracks = [VIDEO]
    for index in range(1, draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(list(KINDS)))
        codec = draw(st.sampled_from(KINDS[kind]))
        cover = kind is TrackKind.VIDEO and draw(st.booleans())
        tags = draw(st.sampled_from([{}, {"timecode": "01:00:00:00"}]))
        layout = draw(st.sampled_from([None, "stereo", "5.1(side)", "7.1.4"]))
        sound = {"channels": draw(st.sampled_from([None, 2, 6, 12])), "channel_layout": layout}
        more = (COVER if cover else {}) | (sound if kind is TrackKind.AUDIO else {})
        tracks.append(track(index, kind, codec, tags=tags, **more))
    chapters = draw(st.sampled_from([(), (Chapter(start_s=0, end_s=1),)]))
    attachments = draw(st.sampled_from([(), (FONT,)]))
    order = draw(st.permutations(tracks))
    return media(*order, chapters=chapters, attachments=attachments)


OPTIONS = {"audio": st.sampled_from(["opus", "copy", "none"])}


@given(sources(), st.sampled_from(Container), OPTIONS["audio"])
def test_every_track_of_the_source_is_named_exactly_once(
    source: MediaInfo, container: Container, audio: str
) -> None:
    made = plan(source, container, audio=audio)
    named = [o.source_index for o in made.outcomes if o.source_index is not None]
    assert sorted(named) == sorted(t.index for t in source.tracks)
    lost = [o for o in made.dropped if o.kind == "attachment"]
    assert len(made.attachments) + len(lost) == len(source.attachments)
    assert all(outcome.detail for outcome in made.outcomes)


@given(sources(), st.sampled_from(Container), OPTIONS["audio"])
def test_the_container_can_hold_every_track_that_is_planned(
    source: MediaInfo, container: Container, audio: str
) -> None:
    for planned in plan(source, container, audio=audio).tracks:
        if planned.source.kind is TrackKind.AUDIO:
            assert holds_audio(container, planned.codec)
            assert (planned.audio is not None) == (planned.action == "encode")
        if planned.source.kind is TrackKind.SUBTITLE:
            assert subtitle_fate(container, planned.codec) == ("copy", planned.codec)


@given(sources(), st.sampled_from(Container), OPTIONS["audio"])
def test_strict_tracks_refuses_exactly_when_something_would_be_lost(
    source: MediaInfo, container: Container, audio: str
) -> None:
    losses = [
        o
        for o in plan(source, container, audio=audio).dropped
        if not (audio == "none" and o.kind == "audio")
    ]
    if losses:
        with pytest.raises(InputError) as caught:
            plan(source, container, audio=audio, strict_tracks=True)
        assert all(loss.detail in caught.value.message for loss in losses)
    else:
        strict = plan(source, container, audio=audio, strict_tracks=True)
        assert strict == plan(source, container, audio=audio)


def test_tracks_keep_the_order_of_the_source() -> None:
    tracks = (
        VIDEO,
        track(1, TrackKind.SUBTITLE, "subrip"),
        track(2, TrackKind.AUDIO, "aac"),
        track(3, TrackKind.AUDIO, "ac3"),
    )
    assert [t.source.index for t in plan(media(*tracks)).tracks] == [1, 2, 3]


def test_second_video_stream_is_dropped_and_named() -> None:
    made = plan(media(VIDEO, track(1, TrackKind.VIDEO, "h264")))
    assert [(o.source_index, o.action) for o in made.dropped] == [(1, "dropped")]
    assert "another video stream" in made.dropped[0].detail


def test_timecode_track_lives_on_as_a_tag_of_the_video() -> None:
    data = track(1, TrackKind.DATA, "unknown", tags={"timecode": "01:00:00:12"})
    made = plan(media(VIDEO, data), strict_tracks=True)
    assert made.video.tags == {"timecode": "01:00:00:12"}
    assert [o.action for o in made.folded] == ["converted"]


def test_quicktime_chapter_track_is_not_a_loss() -> None:
    source = media(
        VIDEO,
        track(1, TrackKind.DATA, "bin_data"),
        format_name="mov,mp4,m4a,3gp,3g2,mj2",
        chapters=(Chapter(start_s=0, end_s=1),),
    )
    assert plan(source, strict_tracks=True).folded[0].detail == "chapter track kept as chapters"


def test_telemetry_is_dropped_and_named() -> None:
    made = plan(media(VIDEO, track(1, TrackKind.DATA, "klv")), Container.MP4)
    assert "cannot hold klv" in made.dropped[0].detail


def test_attachments_outside_matroska_are_dropped_by_name() -> None:
    made = plan(media(VIDEO, attachments=(FONT,)), Container.MP4)
    assert made.attachments == ()
    assert [o.title for o in made.dropped] == ["a.ttf"]


def test_late_first_chapter_in_mp4_is_said() -> None:
    source = media(VIDEO, chapters=(Chapter(start_s=0.5, end_s=1),))
    assert "first chapter starts at 0" in plan(source, Container.MP4).notes[0]
    assert plan(source).notes == ()


def test_codec_that_the_container_cannot_hold_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="webm file cannot hold hevc"):
        plan_mux(
            media(VIDEO), VIDEO, video_codec="hevc", container=Container.WEBM,
            options=EncodeOptions(),
        )  # fmt: skip
