"""`drapto probe` and `drapto analyze`: what is in a file, for people and as one JSON object."""

from __future__ import annotations

from fractions import Fraction

from rich.console import Console

from cli import text
from cli.render.console import make_console, print_facts, print_table, write_line
from cli.render.facts import Facts
from drapto.api import Analysis
from drapto.core.deinterlacing import done_by, said_of
from drapto.core.json_text import dumps
from drapto.core.media import ColorInfo, FrameIndex, MediaInfo, Track, TrackKind


def print_probe(media: MediaInfo, index: FrameIndex | None, *, json_object: bool) -> None:
    summary = index.summary() if index is not None else None
    if json_object:
        print(dumps({"media": media, "frame_index": summary}))
        return
    console = make_console()
    print_facts(console, _file_facts(media))
    _print_tracks(console, media)
    for chapter in media.chapters:
        span = f"{text.duration(chapter.start_s)} to {text.duration(chapter.end_s)}"
        write_line(console, text.printable(f"chapter: {span} {chapter.title}".rstrip()))
    for item in media.attachments:
        write_line(
            console,
            text.printable(
                f"attachment: {item.filename} ({item.mimetype}, {text.size(item.size_bytes)})"
            ),
        )
    if index is None:
        write_line(console, "frame index: none, there is no video stream")
        return
    print_facts(console, _index_facts(index))


def print_analysis(found: Analysis, *, json_object: bool) -> None:
    analysis, video, segments = found.analysis, found.video, found.segments
    if json_object:
        print(dumps({
            "media": video.origin,
            "video_stream": video.track.index,
            "frame_index": video.index.summary(),
            "analysis": analysis,
            "deinterlacing": video.deinterlacing,
            "segments": [
                {"index": s.index, "start": s.start, "end": s.end, "frames": s.frames,
                 "start_s": video.index.time_s(s.start)}
                for s in segments
            ],
        }))  # fmt: skip
        return
    console = make_console()
    print_facts(console, _file_facts(video.origin))
    _print_tracks(console, video.origin)
    print_facts(console, _analysis_facts(found))
    cuts = set(analysis.cuts)
    rows = [
        [
            str(segment.index),
            str(segment.start),
            str(segment.end - 1),
            str(segment.frames),
            text.clock(video.index.time_s(segment.start)),
            "cut" if segment.start in cuts else "",
        ]
        for segment in segments
    ]
    headers = ("segment", "first frame", "last frame", "frames", "starts at", "")
    print_table(console, headers, rows, right=",".join(headers[:5]))


def _file_facts(media: MediaInfo) -> Facts:
    facts = [
        ("file", text.path(media.path)),
        ("container", f"{text.printable(media.format_name)}, {text.size(media.size_bytes)}"),
    ]
    if media.duration_s is not None:
        facts.append(("duration", text.duration(media.duration_s)))
    return facts


def _index_facts(index: FrameIndex) -> Facts:
    facts = index.summary()
    rate = "constant" if facts["constant_rate"] else "variable"
    return [
        ("frames", f"{facts['frames']}, {facts['key_frames']} of them key frames"),
        ("frame rate", f"{_rate(index.frame_rate)} ({rate})"),
        ("time base", f"{facts['time_base']}, first frame at {facts['first_pts']}"),
        ("video duration", text.duration(index.duration_s)),
        *([("timestamps", "made up from the frame rate")] if index.synthetic else []),
        *[("note", text.printable(note)) for note in index.notes],
    ]


def _analysis_facts(found: Analysis) -> Facts:
    analysis, video, index = found.analysis, found.video, found.video.index
    crop = analysis.crop
    facts = [
        *_index_facts(index),
        ("crop", f"{crop.rect or 'none'} (confidence {crop.confidence:.2f}) {crop.reason}".strip()),
        ("dynamic range", _color(analysis.color)),
        ("scanning", said_of(analysis.interlacing, analysis.field_order)),
        ("deinterlacing", done_by(video.deinterlacing, len(video.coded))),
        ("grain", f"{analysis.grain:.2f} (standard deviation, 8-bit code values)"),
        ("scenes", str(len(analysis.scenes))),
        ("black frames", str(sum(end - start for start, end in analysis.black_frames))),
        ("flash frames", str(len(analysis.flash_frames))),
    ]
    if analysis.decode_errors:
        facts.append(("damaged frames", str(analysis.decode_errors)))
    facts += [("picture changes", str(change)) for change in analysis.shape_changes]
    facts += [("note", note) for note in analysis.notes]
    return [(label, text.printable(value)) for label, value in facts]


def _print_tracks(console: Console, media: MediaInfo) -> None:
    rows = []
    for track in media.tracks:
        marks = sorted(track.dispositions)
        rows.append(
            [
                str(track.index),
                str(track.kind),
                track.codec,
                track.language or "",
                _details(track),
                ", ".join(marks),
                text.printable(track.title or ""),
            ]
        )
    cells = [[text.printable(cell) for cell in row] for row in rows]
    headers = ("stream", "kind", "codec", "language", "details", "marks", "title")
    if cells:
        print_table(console, headers, cells)


def _details(track: Track) -> str:
    parts = []
    if track.kind is TrackKind.VIDEO:
        if track.width and track.height:
            parts.append(f"{track.width}x{track.height}")
        if track.pixel_format:
            parts.append(track.pixel_format)
        if track.frame_rate:
            parts.append(_rate(track.frame_rate))
        if track.sample_aspect_ratio and track.sample_aspect_ratio != 1:
            parts.append(f"pixels {track.sample_aspect_ratio}")
        if track.rotation_deg:
            parts.append(f"turned {track.rotation_deg}°")
        if not track.is_cover_art:
            parts.append(_color(track.color))
    if track.kind is TrackKind.AUDIO:
        if track.channels:
            parts.append(track.channel_layout or text.count(track.channels, "channel"))
        if track.sample_rate_hz:
            parts.append(f"{track.sample_rate_hz} Hz")
    if track.bit_rate:
        parts.append(f"{track.bit_rate / 1000:.0f} kb/s")
    return ", ".join(parts)


def _color(color: ColorInfo) -> str:
    tags = (color.primaries, color.transfer, color.matrix, color.range)
    known = "/".join(tag or "?" for tag in tags) if any(tags) else "untagged"
    extra = ""
    if color.dolby_vision is not None:
        extra = f", profile {color.dolby_vision.profile}"
    return f"{color.dynamic_range} ({known}{extra})"


def _rate(rate: Fraction) -> str:
    exact = "" if rate.denominator == 1 else f" ({rate})"
    return f"{float(rate):.6g} fps{exact}"
