"""Builders of finished files: a faithful one of a source, and ones broken on purpose.

All are made with the ffmpeg program alone, so that the validator is not tested against the
code it has to judge.
"""

from __future__ import annotations

from pathlib import Path

import av

from tests.media.clips import ffmpeg

SVT = ("-c:v:0", "libsvtav1", "-preset", "12", "-crf", "50", "-pix_fmt", "yuv420p10le")

TRACKS = ("-map", "0:v:0", "-map", "0:a", "-map", "0:s")
"""The tracks of `rich_tracks` that a copy keeps; attachments are attached anew."""

MARKS = (
    "-disposition:a:m:language:eng", "default", "-disposition:a:m:language:fre", "comment",
    "-disposition:s:m:language:ger", "forced", "-disposition:s:m:language:jpn", "0",
)  # fmt: skip
"""Said again, because the ffmpeg program makes a track of each kind the default if none is."""


def attached(font: Path, cover: Path | None) -> tuple[str, ...]:
    """Output arguments: a font, and a cover as Matroska keeps it."""
    arguments = ["-attach", str(font)]
    arguments += ["-metadata:s:t:0", "mimetype=font/ttf", "-metadata:s:t:0"]
    arguments += ["filename=Some Font.ttf"]
    if cover is not None:
        arguments += ["-attach", str(cover), "-metadata:s:t:1", "mimetype=image/png"]
        arguments += ["-metadata:s:t:1", "filename=cover.png"]
    return tuple(arguments)


def faithful(source: Path, *, video_filter: str = "null", name: str = "faithful.mkv") -> Path:
    """`rich_tracks` as Drapto would make it: AV1, the first audio as Opus, the rest copied."""
    out = source.parent / name
    extras = attached(source.parent / "rich.ttf", source.parent / "rich.png")
    codecs: tuple[str, ...] = (*SVT, "-vf", video_filter, "-c:a:0", "libopus", "-b:a:0", "64k")
    codecs += ("-c:a:1", "copy", "-c:s", "copy", "-fps_mode", "passthrough")
    ffmpeg("-i", source, *TRACKS, *codecs, *extras, *MARKS, out)
    return out


def remuxed(
    file: Path,
    out: Path,
    *options: str,
    maps: tuple[str, ...] = TRACKS,
    more_inputs: tuple[str, ...] = (),
    font: Path | None = None,
    cover: Path | None = None,
    without_cover: bool = False,
) -> Path:
    """`file` copied packet by packet with something changed by `options`."""
    extras = attached(
        font or file.parent / "rich.ttf",
        None if without_cover else cover or file.parent / "rich.png",
    )
    ffmpeg("-i", file, *more_inputs, *maps, "-c", "copy", *extras, *MARKS, *options, out)
    return out


def with_flipped_bytes(file: Path, out: Path, *, packet: int) -> Path:
    """`file` with the middle of one video packet inverted; its length stays."""
    data = bytearray(file.read_bytes())
    with av.open(str(file)) as container:
        payloads = [bytes(p) for p in container.demux(container.streams.video[0]) if p.size]
    payload = payloads[packet]
    begin = data.find(payload)
    assert begin > 0 and len(payload) > 60, "choose a packet that holds a picture"
    middle = begin + len(payload) // 3
    for at in range(middle, middle + 40):
        data[at] ^= 0xA5
    out.write_bytes(data)
    return out
