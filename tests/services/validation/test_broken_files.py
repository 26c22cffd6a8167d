"""A faithful output is all green; each thing broken on purpose fails its own row, no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from drapto.core.errors import ValidationFailedError
from tests.media.clips import ffmpeg, tone
from tests.media.outputs import TRACKS, faithful, remuxed, with_flipped_bytes
from tests.media.tracks import rich_tracks
from tests.services.validation.judging import Failure, Judge, failures, judge_of

VIDEO = "video"
AUDIO = "audio 1 (eng, Stereo)"
COPIED = "audio 2 (fre, Commentaire)"
SRT = "subtitle 3 (ger)"
ASS = "subtitle 4 (jpn, Styled)"

Breaker = Callable[[Path, Path], Path]
"""Takes the faithful file and an empty directory, returns the broken file."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rich_tracks(tmp_path_factory.mktemp("rich"))


@pytest.fixture(scope="module")
def good(source: Path) -> Path:
    return faithful(source)


@pytest.fixture(scope="module")
def judge(source: Path) -> Judge:
    """Track 2 is copied, so that both kinds of audio are judged."""
    return asyncio.run(judge_of(source, copied=(2,)))


def _remux(*options: str, **arguments: object) -> Breaker:
    def build(good: Path, out: Path) -> Path:
        return remuxed(good, out / "broken.mkv", *options, **arguments)  # type: ignore[arg-type]

    return build


def _without_a_shown_again_frame(good: Path, out: Path) -> Path:
    """Drops a packet that only shows a frame decoded before: no other frame needs it."""
    return remuxed(good, out / "broken.mkv", "-bsf:v:0", "noise=drop='eq(n,12)'")


def _doubled_frame(good: Path, out: Path) -> Path:
    """Frame 30 twice, at 10 ms after itself: encoded anew, the rest as it was."""
    double = "setpts=PTS,loop=loop=1:size=1:start=30,setpts='PTS'"
    return faithful(good.parent / "rich.mkv", video_filter=double, name="doubled.mkv")


def _moved_chapter(good: Path, out: Path) -> Path:
    chapters = (good.parent / "rich.txt").read_text().replace("1200", "1203")
    (out / "moved.txt").write_text(chapters)
    more = ("-i", str(out / "moved.txt"))
    return remuxed(good, out / "broken.mkv", "-map_chapters", "1", more_inputs=more)


def _changed_attachment(good: Path, out: Path) -> Path:
    (out / "other.ttf").write_bytes((good.parent / "rich.ttf").read_bytes()[::-1])
    return remuxed(good, out / "broken.mkv", font=out / "other.ttf")


def _changed_cover(good: Path, out: Path) -> Path:
    ffmpeg("-f", "lavfi", "-i", "color=c=red:s=64x64:d=1", "-frames:v", "1", out / "red.png")
    return remuxed(good, out / "broken.mkv", cover=out / "red.png")


def _wrong_size(good: Path, out: Path) -> Path:
    return faithful(good.parent / "rich.mkv", video_filter="crop=318:180:0:0", name="narrow.mkv")


def _corrupted_packet(good: Path, out: Path) -> Path:
    return with_flipped_bytes(good, out / "broken.mkv", packet=1)


def _truncated(good: Path, out: Path) -> Path:
    data = good.read_bytes()
    (out / "broken.mkv").write_bytes(data[: len(data) * 6 // 10])
    return out / "broken.mkv"


def _late(stream: str, by: str, *order: str) -> Breaker:
    """One track taken from a second copy of the file whose times are moved."""

    def build(good: Path, out: Path) -> Path:
        more = ("-itsoffset", by, "-i", str(good))
        maps = tuple(part for name in order for part in ("-map", name))
        assert stream in order
        return remuxed(good, out / "broken.mkv", maps=maps, more_inputs=more)

    return build


def _audio_with_a_hole(good: Path, out: Path) -> Path:
    """Half a second of Opus packets gone from the middle; start and end as they were."""
    return remuxed(good, out / "broken.mkv", "-bsf:a:0", "noise=drop='between(pts*tb,1,1.5)'")


def _extra_track(good: Path, out: Path) -> Path:
    more = tone(3)
    options = ("-c:a:2", "libopus", "-disposition:a:2", "0")
    return remuxed(
        good, out / "broken.mkv", *options, maps=(*TRACKS, "-map", "1:a"), more_inputs=more
    )


def _audio_of_wrong_channels(good: Path, out: Path) -> Path:
    options = ("-c:a:0", "libopus", "-ac:a:0", "1")
    return remuxed(good, out / "broken.mkv", *options)


def _reencoded_copy(good: Path, out: Path) -> Path:
    options = ("-c:a:1", "ac3", "-b:a:1", "96k")
    return remuxed(good, out / "broken.mkv", *options)


def _tagged_bt2020(good: Path, out: Path) -> Path:
    return remuxed(good, out / "broken.mkv", "-bsf:v:0", "av1_metadata=color_primaries=9")


BROKEN: dict[str, tuple[Breaker, set[Failure]]] = {
    "a dropped frame": (_without_a_shown_again_frame, {("frame_count", VIDEO)}),
    "a doubled frame": (_doubled_frame, {("frame_count", VIDEO)}),
    "one timestamp moved by 5 ms": (
        _remux("-bsf:v:0", "setts=pts='PTS+5*eq(N,20)':dts='PTS'"),
        {("timestamps", VIDEO)},
    ),
    "audio 100 ms late": (
        _late("1:1", "0.1", "0:0", "1:1", "0:2", "0:3", "0:4"),
        {("audio_start", AUDIO), ("audio_end", AUDIO)},
    ),
    "copied audio 100 ms late": (
        _late("1:2", "0.1", "0:0", "0:1", "1:2", "0:3", "0:4"),
        {("audio_start", COPIED), ("audio_end", COPIED)},
    ),
    "audio without its last second": (
        _remux("-bsf:a:0", "noise=drop='gt(pts*tb,2)'"),
        {("audio_duration", AUDIO)},
    ),
    "audio with a hole": (_audio_with_a_hole, {("audio_continuity", AUDIO)}),
    "audio of one channel": (_audio_of_wrong_channels, {("channels", AUDIO)}),
    "a copied track that was encoded": (_reencoded_copy, {("payload", COPIED)}),
    "a missing subtitle track": (
        _remux(maps=("-map", "0:v:0", "-map", "0:a", "-map", "0:s:1")),
        {("track_present", SRT)},
    ),
    "a missing audio track": (
        _remux(maps=("-map", "0:v:0", "-map", "0:a:1", "-map", "0:s")),
        {("track_present", AUDIO)},
    ),
    "an unplanned track": (_extra_track, {("track_extra", "tracks")}),
    "a wrong language": (
        _remux("-metadata:s:s:0", "language=eng"),
        {("language", SRT)},
    ),
    "a missing title": (_remux("-metadata:s:a:0", "title="), {("title", AUDIO)}),
    "swapped subtitles": (
        _remux(maps=("-map", "0:v:0", "-map", "0:a", "-map", "0:s:1", "-map", "0:s:0")),
        {("track_order", "tracks")},
    ),
    "a lost default mark": (_remux("-disposition:a:0", "0"), {("dispositions", AUDIO)}),
    "a lost forced mark": (_remux("-disposition:s:0", "default"), {("dispositions", SRT)}),
    "a lost cue": (
        _remux("-bsf:s:0", "noise=drop='eq(n,1)'"),
        {("cue_count", SRT), ("payload", SRT)},
    ),
    "a moved cue": (
        _remux("-bsf:s:0", "setts=ts='PTS+40*eq(N,1)'"),
        {("cue_times", SRT), ("cue_ends", SRT)},
    ),
    "no chapters": (_remux("-map_chapters", "-1"), {("chapter_count", "file")}),
    "a moved chapter": (
        _moved_chapter,
        {("chapter_time", "chapter 1"), ("chapter_time", "chapter 2")},
    ),
    "a changed attachment": (_changed_attachment, {("attachment", "attachment 'Some Font.ttf'")}),
    "a missing cover": (_remux(without_cover=True), {("track_present", "cover 6")}),
    "a changed cover": (_changed_cover, {("cover", "cover 6")}),
    "a lost tag": (_remux("-metadata", "artist="), {("global_tag", "artist")}),
    "wrong colour tags": (_tagged_bt2020, {("color_primaries", VIDEO)}),
    "a wrong size": (_wrong_size, {("picture_size", VIDEO)}),
    "wrong pixels": (_remux("-aspect:v:0", "4:3"), {("pixel_aspect", VIDEO)}),
    "a corrupted packet": (_corrupted_packet, {("video_decode", VIDEO)}),
}


async def test_a_faithful_file_is_all_green(judge: Judge, good: Path) -> None:
    manifest = await judge.judge(good)

    assert not manifest.failed, "\n".join(map(str, manifest.failed))
    assert not manifest.named, "\n".join(map(str, manifest.named))
    manifest.raise_if_failed()


async def test_a_plain_remux_of_a_faithful_file_is_all_green(
    judge: Judge, good: Path, tmp_path: Path
) -> None:
    manifest = await judge.judge(remuxed(good, tmp_path / "again.mkv"))

    assert not manifest.failed, "\n".join(map(str, manifest.failed))


@pytest.mark.parametrize("name", BROKEN)
async def test_each_broken_thing_fails_its_own_row(
    name: str, judge: Judge, good: Path, tmp_path: Path
) -> None:
    build, expected = BROKEN[name]

    manifest = await judge.judge(build(good, tmp_path))

    assert failures(manifest) == expected, "\n".join(map(str, manifest.failed))
    with pytest.raises(ValidationFailedError, match=next(iter(expected))[0]):
        manifest.raise_if_failed()


async def test_a_truncated_file_fails_by_what_is_missing(
    judge: Judge, good: Path, tmp_path: Path
) -> None:
    manifest = await judge.judge(_truncated(good, tmp_path))

    failed = {check for check, _ in failures(manifest)}
    assert {"frame_count", "audio_duration"} <= failed


async def test_a_file_of_noise_fails_as_unreadable_and_nothing_else(
    judge: Judge, tmp_path: Path
) -> None:
    noise = tmp_path / "noise.mkv"
    noise.write_bytes(bytes(range(256)) * 64)

    manifest = await judge.judge(noise)

    assert failures(manifest) == {("readable", "output")}


async def test_every_check_is_explained_in_the_documentation(judge: Judge, good: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "manifest.md").read_text()
    manifest = await judge.judge(good)

    checks = {row.check for row in manifest.rows}
    checks |= {check for _, expected in BROKEN.values() for check, _ in expected}

    assert {check for check in checks if f"`{check}`" not in page} == set()
