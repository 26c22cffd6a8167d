"""Sources that differ in kind: HDR, pixel shapes, turned pictures, VFR, TS, MP4 both ways."""

from __future__ import annotations

from pathlib import Path

import pytest

from drapto.core.tracks import Container
from tests.media import clips
from tests.media.clips import ffmpeg
from tests.media.outputs import SVT
from tests.media.tracks import late_audio, mp4_tracks
from tests.services.validation.judging import failures, judge_of, the_row

VIDEO = "video"
HDR = "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005)"


@pytest.fixture(scope="module")
def hdr_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.hdr10(tmp_path_factory.mktemp("hdr"))


def av1_of(source: Path, out: Path, *options: str) -> Path:
    """Every track of `source`: video as AV1, audio as Opus, times as they are."""
    codecs = (*SVT, "-c:a", "libopus", "-b:a", "64k", "-fps_mode", "passthrough")
    ffmpeg("-noautorotate", "-i", source, "-map", "0", *codecs, *options, out)
    return out


async def test_hdr10_metadata_within_the_rounding_of_the_codecs_is_green(
    hdr_source: Path, tmp_path: Path
) -> None:
    params = f"{HDR}:content-light=1000,400"
    output = av1_of(hdr_source, tmp_path / "hdr.mkv", "-svtav1-params", params)

    manifest = await (await judge_of(hdr_source)).judge(output)

    assert not manifest.failed, "\n".join(map(str, manifest.failed))
    assert "1000.00 cd/m²" in the_row(manifest, "mastering_display").actual
    assert the_row(manifest, "content_light").actual == "MaxCLL 1000, MaxFALL 400 cd/m²"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("-vf", "sidedata=delete:type=MASTERING_DISPLAY_METADATA"), "mastering_display"),
        (("-vf", "sidedata=delete:type=CONTENT_LIGHT_LEVEL"), "content_light"),
        (("-vf", "setparams=colorspace=bt709"), "color_matrix"),
        (("-vf", "setparams=color_trc=bt709"), "color_transfer"),
        (("-vf", "setparams=range=full"), "color_range"),
        (("-svtav1-params", f"{HDR.replace('1000', '4000')}"), "mastering_display"),
    ],
)
async def test_lost_or_wrong_hdr_metadata_fails_its_own_row(
    options: tuple[str, str], expected: str, hdr_source: Path, tmp_path: Path
) -> None:
    output = av1_of(hdr_source, tmp_path / "hdr.mkv", *options)

    manifest = await (await judge_of(hdr_source)).judge(output)

    assert failures(manifest) == {(expected, VIDEO)}, "\n".join(map(str, manifest.failed))


async def test_anamorphic_pixels_are_kept_or_missed(tmp_path: Path) -> None:
    source = clips.anamorphic(tmp_path)
    judge = await judge_of(source)

    kept = await judge.judge(av1_of(source, tmp_path / "kept.mkv"))
    lost = await judge.judge(av1_of(source, tmp_path / "lost.mkv", "-vf", "setsar=1"))

    assert not kept.failed, "\n".join(map(str, kept.failed))
    assert failures(lost) == {("pixel_aspect", VIDEO)}


async def test_a_turned_picture_is_kept_or_missed(tmp_path: Path) -> None:
    source = clips.rotated(tmp_path)
    judge = await judge_of(source)
    flat = av1_of(source, tmp_path / "flat.mkv", "-vf", "sidedata=delete:type=DISPLAYMATRIX")
    turned = tmp_path / "turned.mkv"
    ffmpeg("-display_rotation", "90", "-i", flat, "-c", "copy", turned)

    kept, lost = await judge.judge(turned), await judge.judge(flat)

    assert not kept.failed, "\n".join(map(str, kept.failed))
    assert failures(lost) == {("rotation", VIDEO)}


async def test_variable_frame_times_are_kept_or_missed(tmp_path: Path) -> None:
    source = clips.vfr(tmp_path)
    judge = await judge_of(source)

    kept = await judge.judge(av1_of(source, tmp_path / "kept.mkv"))
    evened = await judge.judge(
        av1_of(
            source, tmp_path / "even.mkv", "-vf", "setpts=N*0.0471/TB", "-enc_time_base", "1/1000"
        )
    )

    assert not kept.failed, "\n".join(map(str, kept.failed))
    assert ("timestamps", VIDEO) in failures(evened)
    assert "frames off" in the_row(evened, "timestamps").actual


async def test_a_transport_stream_is_compared_after_its_one_shift(tmp_path: Path) -> None:
    source = clips.ts(tmp_path)
    output = av1_of(source, tmp_path / "from_ts.mkv")

    manifest = await (await judge_of(source)).judge(output)

    assert not manifest.failed, "\n".join(map(str, manifest.failed))
    assert manifest.shift_s < -1.3


async def test_aac_copied_from_a_transport_stream_is_counted_instead_of_hashed(
    tmp_path: Path,
) -> None:
    source = clips.ts(tmp_path)
    output = av1_of(source, tmp_path / "from_ts.mkv", "-c:a", "copy")

    manifest = await (await judge_of(source, copied=(1,))).judge(output)

    assert not manifest.failed, "\n".join(map(str, manifest.failed))
    assert "packed differently" in the_row(manifest, "payload").note


async def test_audio_that_starts_late_has_to_start_as_late(tmp_path: Path) -> None:
    source = late_audio(tmp_path)
    judge = await judge_of(source)

    kept = await judge.judge(av1_of(source, tmp_path / "kept.mkv"))
    pulled = await judge.judge(
        av1_of(source, tmp_path / "pulled.mkv", "-af", "asetpts=PTS-STARTPTS")
    )

    assert not kept.failed, "\n".join(map(str, kept.failed))
    assert {check for check, _ in failures(pulled)} == {"audio_start", "audio_end"}


@pytest.fixture(scope="module")
def holed_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second of audio packets is missing from the middle; the times of the rest stay."""
    directory = tmp_path_factory.mktemp("holed")
    whole, holed = clips.simple(directory), directory / "holed.mkv"
    ffmpeg("-i", whole, "-c", "copy", "-bsf:a", "noise=drop='between(pts*tb,1,1.5)'", holed)
    return holed


async def test_a_hole_in_the_source_may_be_filled_with_silence_or_stay(
    holed_source: Path, tmp_path: Path
) -> None:
    judge = await judge_of(holed_source)
    copying = await judge_of(holed_source, copied=(1,))

    filled = await judge.judge(
        av1_of(holed_source, tmp_path / "filled.mkv", "-af", "aresample=async=1")
    )
    copied = await copying.judge(av1_of(holed_source, tmp_path / "copied.mkv", "-c:a", "copy"))

    assert not filled.failed, "\n".join(map(str, filled.failed))
    assert not copied.failed, "\n".join(map(str, copied.failed))


async def test_sound_pulled_together_over_a_hole_is_found(
    holed_source: Path, tmp_path: Path
) -> None:
    pulled = av1_of(holed_source, tmp_path / "pulled.mkv", "-af", "asetpts=N/SR/TB")

    manifest = await (await judge_of(holed_source)).judge(pulled)

    assert failures(manifest) == {("audio_duration", "audio 1")}


async def test_mp4_tracks_survive_in_matroska_and_in_mp4(tmp_path: Path) -> None:
    source = mp4_tracks(tmp_path)
    maps = ("-map", "-0:d")
    mkv = av1_of(source, tmp_path / "out.mkv", *maps, "-c:s", "subrip")
    mp4 = av1_of(source, tmp_path / "out.mp4", *maps, "-c:s", "copy")

    into_mkv = await (await judge_of(source)).judge(mkv)
    into_mp4 = await (await judge_of(source, container=Container.MP4)).judge(mp4)

    assert not into_mkv.failed, "\n".join(map(str, into_mkv.failed))
    assert not into_mp4.failed, "\n".join(map(str, into_mp4.failed))


async def test_cues_that_mp4_cuts_short_are_named(tmp_path: Path) -> None:
    cues = "1\n00:00:00,200 --> 00:00:01,500\nOne\n\n2\n00:00:01,000 --> 00:00:02,000\nTwo\n"
    (tmp_path / "overlap.srt").write_text(cues)
    source, output = tmp_path / "overlap.mkv", tmp_path / "overlap.mp4"
    inputs = ("-i", clips.silent(tmp_path), "-i", tmp_path / "overlap.srt")
    ffmpeg(*inputs, "-map", "0", "-map", "1", "-c", "copy", "-disposition:s:0", "0", source)

    manifest = await (await judge_of(source, container=Container.MP4)).judge(
        av1_of(source, output, "-c:s", "mov_text")
    )

    assert not manifest.failed, "\n".join(map(str, manifest.failed))
    assert [row.check for row in manifest.named] == ["cue_ends"]


async def test_hidden_frames_of_an_edit_list_are_not_missed(tmp_path: Path) -> None:
    source = clips.edit_list(tmp_path)
    output = av1_of(source, tmp_path / "out.mkv")

    manifest = await (await judge_of(source)).judge(output)

    assert not manifest.failed, "\n".join(map(str, manifest.failed))


async def test_what_a_10_bit_420_encoder_cannot_keep_is_named(tmp_path: Path) -> None:
    source = clips.twelve_bit_444(tmp_path)
    output = av1_of(source, tmp_path / "out.mkv")

    manifest = await (await judge_of(source)).judge(output)

    assert manifest.ok
    assert {row.check for row in manifest.named} == {"bit_depth", "chroma_format"}
