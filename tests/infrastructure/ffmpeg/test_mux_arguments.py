"""What ffmpeg is told when the container is made: pure, without running it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import pytest

from drapto.core.job import TrackOutcome
from drapto.core.media import (
    Attachment,
    Chapter,
    ColorInfo,
    ContentLight,
    MasteringDisplay,
    MediaInfo,
    Track,
    TrackKind,
)
from drapto.core.opening import input_arguments
from drapto.core.tracks import (
    AudioEncoding,
    AudioTrackFile,
    Container,
    MuxPlan,
    TrackPlan,
    VideoTrackFile,
)
from drapto.infrastructure.ffmpeg.metadata_file import metadata_text
from drapto.infrastructure.ffmpeg.mux import MuxInputs, global_shift_s, mux_arguments

SAFE = " ".join(input_arguments(Path("/x"), only_copied=True)[:-2])
"""What every input is opened with."""


def plan_of(video: Track, container: Container = Container.MATROSKA, **more: object) -> MuxPlan:
    outcome = TrackOutcome(source_index=0, kind="video", codec="h264", action="encoded", detail="")
    track = TrackPlan(source=video, action="encode", codec="av1", outcome=outcome)
    return MuxPlan.model_validate({"container": container, "video": track, **more})


VIDEO = Track(index=0, kind=TrackKind.VIDEO, codec="h264", time_base=Fraction(1, 1000))


def copied(start_pts: int, kind: TrackKind = TrackKind.AUDIO) -> TrackPlan:
    source = Track(
        index=1, kind=kind, codec="aac", time_base=Fraction(1, 48000), start_pts=start_pts
    )
    outcome = TrackOutcome(source_index=1, kind=kind, codec="aac", action="copied", detail="")
    return TrackPlan(source=source, action="copy", codec="aac", outcome=outcome)


@pytest.mark.parametrize(
    ("container", "video_s", "audio_pts", "shift_s"),
    [
        (Container.MATROSKA, Fraction(0), 24_000, Fraction(0)),
        (Container.MATROSKA, Fraction(5), 48_000 * 6, Fraction(-5)),
        (Container.MATROSKA, Fraction(0), -1024, Fraction(22, 1000)),
        (Container.MATROSKA, Fraction(1001, 24000), 48_000, Fraction(-41, 1000)),
        (Container.MP4, Fraction(1001, 24000), 48_000, Fraction(-1001, 24000)),
        (Container.MP4, Fraction(0), -1024, Fraction(1024, 48000)),
    ],
)
def test_shift_puts_the_earliest_track_at_zero(
    container: Container, video_s: Fraction, audio_pts: int, shift_s: Fraction
) -> None:
    plan = plan_of(VIDEO, container, tracks=(copied(audio_pts),))
    video = VideoTrackFile(path=Path("v.mp4"), start_s=video_s, frames=1, timescale=24000)
    assert global_shift_s(plan, video, {}) == shift_s


def test_first_mp4_chapter_begins_at_zero_and_the_others_stay() -> None:
    chapters = (Chapter(start_s=0.5, end_s=1), Chapter(start_s=1, end_s=2, tags={"title": "B"}))
    text = metadata_text(plan_of(VIDEO, Container.MP4, chapters=chapters), Fraction(0))
    assert "START=0\nEND=1000000000" in text
    assert "START=1000000000\nEND=2000000000\ntitle=B" in text
    text = metadata_text(plan_of(VIDEO, chapters=chapters), Fraction(1, 2))
    assert "START=1000000000\nEND=1500000000" in text


def subtitle(index: int, codec: str, made: str) -> TrackPlan:
    source = Track(index=index, kind=TrackKind.SUBTITLE, codec=codec, time_base=Fraction(1, 1000))
    action: Literal["copy", "convert"] = "copy" if codec == made else "convert"
    outcome = TrackOutcome(
        source_index=index, kind="subtitle", codec=codec, action="copied", detail=""
    )
    dispositions = frozenset({"forced", "default"})
    return TrackPlan(
        source=source, action=action, codec=made, outcome=outcome, dispositions=dispositions
    )


def encoded_audio(index: int) -> TrackPlan:
    encoding = AudioEncoding(bit_rate=1, channels=1, channel_layout="mono", mapping_family=0)
    return copied(0).model_copy(
        update={
            "action": "encode",
            "audio": encoding,
            "source": copied(0).source.model_copy(update={"index": index}),
        }
    )


def arguments(
    plan: MuxPlan,
    shift_s: Fraction = Fraction(0),
    color: ColorInfo | None = None,
    inline: bool = False,
) -> str:
    inputs = MuxInputs(
        source=MediaInfo(path=Path("/in/film.mkv"), format_name="", size_bytes=1),
        video=VideoTrackFile(
            path=Path("/w/v.mp4"),
            start_s=Fraction(5),
            frames=1,
            timescale=24000,
            inline_parameter_sets=inline,
        ),
        audio={
            1: AudioTrackFile(
                path=Path("/w/1.opus"), source_index=1, start_s=Fraction(11, 2), duration_s=1
            )
        },
        metadata=Path("/w/metadata.txt"),
        covers={},
        color=color or ColorInfo(),
    )
    return " ".join(mux_arguments(plan, inputs, shift_s, Path("/out/film.mkv")))


def test_every_input_gets_its_place_on_the_common_clock() -> None:
    plan = plan_of(VIDEO, tracks=(encoded_audio(1), subtitle(2, "subrip", "subrip")))
    said = arguments(plan, Fraction(-49, 10))
    assert f"-itsoffset 100000us -copyts {SAFE} -i file:/w/v.mp4" in said
    assert f"-itsoffset 600000us -copyts {SAFE} -i file:/w/1.opus" in said
    assert f"-itsoffset -4900000us -copyts {SAFE} -i file:/in/film.mkv" in said
    assert "-map 1:v:0 -map 2:a:0 -map 3:2" in said


def test_source_is_not_opened_when_nothing_is_copied_from_it() -> None:
    assert "/in/film.mkv" not in arguments(plan_of(VIDEO, tracks=(encoded_audio(1),)))


def test_only_conversions_leave_the_copy_path() -> None:
    tracks = (subtitle(2, "subrip", "subrip"), subtitle(3, "mov_text", "subrip"))
    said = arguments(plan_of(VIDEO, tracks=tracks))
    assert "-c copy -c:2 subrip" in said
    assert "-disposition:0 0 -disposition:1 default+forced" in said


def test_attachments_are_mapped_from_the_source_and_described() -> None:
    font = Attachment(filename="", mimetype="", size_bytes=1, sha256="")
    plan = plan_of(VIDEO, attachments=(font, font))
    assert "-map 2:t:0 -map 2:t:1" in arguments(plan)
    assert "-map_metadata:s:2 0:s:2" in arguments(plan)
    text = metadata_text(plan, Fraction(0))
    assert "filename=attachment-1\nmimetype=application/octet-stream" in text


def test_hdr_facts_are_written_in_the_units_of_the_standard() -> None:
    display = MasteringDisplay(
        red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06), white=(0.3127, 0.329),
        min_luminance=0.005, max_luminance=1000,
    )  # fmt: skip
    color = ColorInfo(
        mastering_display=display, content_light=ContentLight(max_cll=1000, max_fall=400)
    )
    said = arguments(plan_of(VIDEO), color=color)
    expected = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    assert f"-mastering_display:v:0 {expected}" in said
    assert "-content_light:v:0 1000,400" in said


def test_mp4_gets_an_exact_clock_and_its_index_in_front() -> None:
    said = arguments(plan_of(VIDEO, Container.MP4))
    assert "-video_track_timescale 24000 -movie_timescale 48000 -movflags +faststart" in said
    assert "-cues_to_front 1" in arguments(plan_of(VIDEO))


def test_hevc_in_mp4_is_tagged_for_apple_unless_its_parameter_sets_are_in_the_stream() -> None:
    plan = plan_of(VIDEO, Container.MP4)
    hevc = plan.model_copy(update={"video": plan.video.model_copy(update={"codec": "hevc"})})
    assert "-tag:0 hvc1" in arguments(hevc)
    assert "hvc1" not in arguments(plan)
    assert "hvc1" not in arguments(hevc, inline=True)
