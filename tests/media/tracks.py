"""Builders of clips that are about tracks, tags and containers rather than pictures."""

from __future__ import annotations

from pathlib import Path

from tests.media.clips import FONT_BYTES, ffmpeg, pattern, tone, x264

SRT = (
    "1\n00:00:00,200 --> 00:00:01,000\nHello\n\n2\n00:00:01,500 --> 00:00:02,500\nGood <i>bye</i>\n"
)
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Some Font,20,&H00FFFFFF,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,{\\b1}Styled{\\b0} words
"""
CHAPTERS = """;FFMETADATA1
title=A small film
artist=Nobody
[CHAPTER]
TIMEBASE=1/1000
START=0
END=1200
title=First part
[CHAPTER]
TIMEBASE=1/1000
START=1200
END=3000
title=Zweiter Teil
"""


def rich_tracks(directory: Path, name: str = "rich.mkv") -> Path:
    """Matroska with everything.

    0 video (title 'Main picture'), 1 AAC stereo eng 'Stereo' (default), 2 AC-3 5.1 fre
    'Commentaire' (comment), 3 SubRip ger (forced), 4 ASS jpn 'Styled'; two chapters; the
    attachment 'Some Font.ttf' holding FONT_BYTES; a 64x64 PNG cover; global title and artist.
    """
    out = directory / name
    (directory / "rich.srt").write_text(SRT)
    (directory / "rich.ass").write_text(ASS)
    (directory / "rich.txt").write_text(CHAPTERS)
    (directory / "rich.ttf").write_bytes(FONT_BYTES)
    _cover(directory / "rich.png")
    inputs = (*pattern(72), *tone(3), *tone(3, channels="5.1"))
    inputs += ("-i", str(directory / "rich.srt"), "-i", str(directory / "rich.ass"))
    inputs += ("-i", str(directory / "rich.txt"))
    maps = "-map 0:v -map 1:a -map 2:a -map 3:s -map 4:s -map_metadata 5 -map_chapters 5"
    codecs = "-c:a:0 aac -c:a:1 ac3 -c:s:0 subrip -c:s:1 ass -b:a 96k"
    tags = [
        "-metadata:s:v:0", "title=Main picture",
        "-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=Stereo",
        "-metadata:s:a:1", "language=fre", "-metadata:s:a:1", "title=Commentaire",
        "-metadata:s:s:0", "language=ger",
        "-metadata:s:s:1", "language=jpn", "-metadata:s:s:1", "title=Styled",
        "-disposition:a:0", "default", "-disposition:a:1", "comment",
        "-disposition:s:0", "forced", "-disposition:s:1", "0",
        "-attach", str(directory / "rich.ttf"),
        "-metadata:s:t:0", "mimetype=font/ttf", "-metadata:s:t:0", "filename=Some Font.ttf",
        "-attach", str(directory / "rich.png"),
        "-metadata:s:t:1", "mimetype=image/png", "-metadata:s:t:1", "filename=cover.png",
    ]  # fmt: skip
    ffmpeg(*inputs, *maps.split(), *x264(), *codecs.split(), *tags, out)
    return out


def mp4_tracks(directory: Path) -> Path:
    """MP4: H.264, AAC stereo eng, AAC mono ger, mov_text eng; two chapters; title and artist."""
    out = directory / "tracks.mp4"
    (directory / "mp4.srt").write_text(SRT)
    (directory / "mp4.txt").write_text(CHAPTERS)
    inputs = (*pattern(72), *tone(3), *tone(3, channels="mono"))
    inputs += ("-i", str(directory / "mp4.srt"), "-i", str(directory / "mp4.txt"))
    maps = "-map 0:v -map 1:a -map 2:a -map 3:s -map_metadata 4 -map_chapters 4"
    codecs = "-c:a aac -b:a 64k -c:s mov_text"
    tags = "-metadata:s:a:0 language=eng -metadata:s:a:1 language=ger -metadata:s:s:0 language=eng"
    ffmpeg(*inputs, *maps.split(), *x264(), *codecs.split(), *tags.split(), out)
    return out


def mp4_cover(directory: Path) -> Path:
    """MP4 with H.264, AAC and a PNG cover."""
    out = directory / "cover.mp4"
    cover = _cover(directory / "mp4_cover.png")
    inputs = (*pattern(24), *tone(1), "-i", str(cover))
    maps = "-map 0:v -map 1:a -map 2:v -c:a aac -c:v:1 copy -disposition:v:1 attached_pic"
    ffmpeg(*inputs, *x264(), *maps.split(), out)
    return out


def music_with_cover(directory: Path) -> Path:
    """An .m4a of AAC with a PNG cover: the only video stream is the cover."""
    out = directory / "music.m4a"
    cover = _cover(directory / "music.png")
    maps = "-map 0:a -map 1:v -c:a aac -c:v copy -disposition:v:0 attached_pic"
    ffmpeg(*tone(1), "-i", cover, *maps.split(), out)
    return out


def two_videos(directory: Path) -> Path:
    """MP4 with two video streams: 160x90 at 12 fps first, then 320x180 at 24 fps, default."""
    out = directory / "two_videos.mp4"
    inputs = (*pattern(24, size="160x90", rate="12"), *pattern(72))
    maps = "-map 0:v -map 1:v -disposition:v:0 0 -disposition:v:1 default"
    ffmpeg(*inputs, *maps.split(), *x264(), out)
    return out


def late_audio(directory: Path) -> Path:
    """Matroska: video from 0, audio starting 0.7 s later and ending 0.5 s after the video."""
    out = directory / "late_audio.mkv"
    inputs = (*pattern(72), "-itsoffset", "0.7", *tone(2.8))
    ffmpeg(*inputs, *x264(), "-c:a", "aac", "-b:a", "64k", out)
    return out


def _cover(path: Path) -> Path:
    ffmpeg("-f", "lavfi", "-i", "color=c=teal:s=64x64:d=1", "-frames:v", "1", path)
    return path
