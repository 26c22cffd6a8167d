"""Builders of sources that are whole, but not what one expects."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from tests.media.clips import ffmpeg, pattern, tone, x264

VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "150k")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "6", "-bf", "2", "-g", "12")
# Without B-frames: ffmpeg's decoder drops the frame that it holds back at a change of size.
MPEG4 = ("-c:v", "mpeg4", "-q:v", "6", "-g", "12")
AV1 = ("-c:v", "libsvtav1", "-preset", "13", "-crf", "40", "-svtav1-params", "lp=1")


def changed_size_ts(directory: Path) -> Path:
    """H.264 in MPEG-TS: 24 frames of 192x108, then 24 of 320x180."""
    return _joined(directory, "size", x264(), ("192x108", "320x180"))


def changed_size_mpeg2(directory: Path) -> Path:
    """As `changed_size_ts`, in MPEG-2."""
    return _joined(directory, "size2", (*MPEG2, "-pix_fmt", "yuv420p"), ("192x108", "320x180"))


def changed_size_mpeg4(directory: Path) -> Path:
    """As `changed_size_ts`, in MPEG-4 part 2."""
    return _joined(directory, "size4", (*MPEG4, "-pix_fmt", "yuv420p"), ("192x108", "320x180"))


def changed_size_av1(directory: Path) -> Path:
    """A bare AV1 stream: 24 frames of 192x108, then 24 of 320x180."""
    out = directory / "size.obu"
    parts = []
    for number, size in enumerate(("192x108", "320x180")):
        parts.append(directory / f"part{number}.obu")
        ffmpeg(*pattern(24, size=size), *AV1, "-pix_fmt", "yuv420p", parts[-1])
    out.write_bytes(b"".join(part.read_bytes() for part in parts))
    return out


def changed_size_letterboxed(directory: Path) -> Path:
    """24 frames of 320x180, then 24 of 640x360, a sixth of the height black above and below."""
    bars = ("pad=320:180:0:30:black", "pad=640:360:0:60:black")
    return _joined(directory, "bars", x264(), ("320x120", "640x240"), filters=bars)


def changed_aspect_ts(directory: Path, codec: tuple[str, ...] | None = None) -> Path:
    """MPEG-TS of 192x108: 24 frames to be shown at 16:9, then 24 at 4:3."""
    shown = ("setdar=16/9", "setdar=4/3")
    name = f"aspect_{codec[1]}" if codec else "aspect"
    return _joined(directory, name, codec or x264(), ("192x108",) * 2, filters=shown)


def changed_depth_ts(directory: Path) -> Path:
    """H.264 in MPEG-TS: 24 frames of 8 bits a sample, then 24 of 10."""
    return _joined(directory, "depth", x264(), ("192x108",) * 2, ("yuv420p", "yuv420p10le"))


def changed_size_hevc(directory: Path) -> Path:
    """A bare HEVC stream: 24 frames of 192x108, then 24 of 320x180."""
    out = directory / "size.hevc"
    codec = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:pools=2")
    parts = []
    for size in ("192x108", "320x180"):
        parts.append(directory / f"{size}.hevc")
        ffmpeg(*pattern(24, size=size), *codec, "-pix_fmt", "yuv420p", parts[-1])
    out.write_bytes(b"".join(part.read_bytes() for part in parts))
    return out


def changed_size_webm(directory: Path, codec: tuple[str, ...] = VP9) -> Path:
    """WebM whose key frame in the middle has another size, as calls are recorded."""
    out = directory / f"size_{codec[1]}.webm"
    with av.open(f"file:{out}", "w") as target:
        copy: Any = None
        for number, size in enumerate(("192x108", "320x180")):
            part = directory / f"part{number}.webm"
            ffmpeg(*pattern(24, size=size), *codec, "-pix_fmt", "yuv420p", part)
            with av.open(f"file:{part}") as source:
                stream = source.streams.video[0]
                copy = copy or target.add_stream_from_template(stream, opaque=True)
                for packet in source.demux(stream):
                    if packet.size and packet.pts is not None:
                        packet.pts += number * 1000
                        packet.dts, packet.stream = packet.pts, copy
                        target.mux(packet)
    return out


def changed_size_vp8(directory: Path) -> Path:
    return changed_size_webm(directory, ("-c:v", "libvpx", *VP9[2:]))


def _joined(
    directory: Path,
    name: str,
    codec: tuple[str, ...],
    sizes: tuple[str, ...],
    formats: tuple[str, ...] = ("yuv420p", "yuv420p"),
    filters: tuple[str, ...] = ("null", "null"),
) -> Path:
    """Two MPEG-TS, the second 1 s later on the same clock, in one file."""
    data = b""
    for number, (size, pixels, vf) in enumerate(zip(sizes, formats, filters, strict=True)):
        part = directory / f"{name}{number}.ts"
        offset = ("-output_ts_offset", str(number + 1))  # from 0 on, B-frames would move it
        ffmpeg(*pattern(24, size=size), "-vf", vf, *codec, "-pix_fmt", pixels, *offset, part)
        data += part.read_bytes()
    out = directory / f"{name}.ts"
    out.write_bytes(data)
    return out


def rgb(directory: Path) -> Path:
    """FFV1 in RGB, whose frames say so: matrix 'gbr', full range."""
    out = directory / "rgb.mkv"
    ffmpeg(*pattern(12, size="160x90"), "-c:v", "ffv1", "-pix_fmt", "bgr0", out)
    return out


def untagged_rgb(directory: Path) -> Path:
    """QuickTime Animation: RGB without a word about its matrix."""
    out = directory / "animation.mov"
    ffmpeg(*pattern(12, size="160x90"), "-c:v", "qtrle", "-pix_fmt", "rgb24", out)
    return out


def transparent(directory: Path) -> Path:
    """ProRes 4444 with an alpha channel."""
    out = directory / "alpha.mov"
    codec = ("-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le")
    ffmpeg(*pattern(12, size="160x90"), *codec, out)
    return out


def transparent_webm(directory: Path) -> Path:
    """VP9 whose transparency is a second picture beside the first."""
    out = directory / "alpha.webm"
    ffmpeg(*pattern(12, size="160x90"), *VP9, "-pix_fmt", "yuva420p", "-auto-alt-ref", "0", out)
    return out


def long_frame(directory: Path) -> Path:
    """MP4 with B-frames in which frame 11 is shown for two seconds; 24 frames, 3 s."""
    out = directory / "long_frame.mp4"
    later = "setpts='PTS+if(gte(N,12),2/TB,0)'"
    ffmpeg(*pattern(24, size="160x90"), "-vf", later, "-fps_mode", "vfr", *x264(), out)
    return out


def silent_track(directory: Path) -> Path:
    """Matroska with an AAC track that has no packet."""
    return _rewritten(directory, "no_packets.mkv", lambda packet: None)


def unmarked_sound(directory: Path) -> Path:
    """Matroska whose audio packets are not marked as key frames."""

    def unmarked(packet: Any) -> Any:
        packet.is_keyframe = False
        return packet

    return _rewritten(directory, "unmarked.mkv", unmarked)


def undecodable_sound(directory: Path) -> Path:
    """Matroska whose AAC packets hold random bytes."""
    noise = random.Random(1)

    def garbage(packet: Any) -> Any:
        other: Any = av.Packet(noise.randbytes(200))
        other.pts, other.dts, other.duration = packet.pts, packet.dts, packet.duration
        other.time_base, other.is_keyframe = packet.time_base, True
        return other

    return _rewritten(directory, "noise.mkv", garbage)


def _rewritten(directory: Path, name: str, sound: Callable[[Any], Any]) -> Path:
    whole, out = directory / f"whole_{name}", directory / name
    ffmpeg(*pattern(24, size="160x90"), *tone(1), *x264(), "-c:a", "aac", whole)
    with av.open(f"file:{whole}") as source, av.open(f"file:{out}", "w") as target:
        copies = {s.index: target.add_stream_from_template(s, opaque=True) for s in source.streams}
        for packet in source.demux():
            index = packet.stream.index
            kept: Any = packet if packet.stream.type == "video" else sound(packet)
            if packet.size and kept is not None:
                kept.stream = copies[index]
                target.mux(kept)
    return out


def joined_program_streams(directory: Path) -> Path:
    """Two recordings with sound in one MPEG-PS: the clock of all tracks starts anew."""
    out, part = directory / "joined.mpg", directory / "part.mpg"
    data = b""
    for start_s in ("5", "0"):
        ffmpeg(*pattern(24), *tone(1), *MPEG2, "-c:a", "mp2", "-output_ts_offset", start_s, part)
        data += part.read_bytes()
    out.write_bytes(data)
    return out


def holey_avi(directory: Path) -> Path:
    """AVI that begins with empty packets, because its sound begins before its picture."""
    out = directory / "holey.avi"
    with av.open(f"file:{out}", "w", format="avi") as target:
        plain = directory / "plain.avi"
        ffmpeg(*pattern(24, size="160x90"), "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", plain)
        with av.open(f"file:{plain}") as source:
            stream = source.streams.video[0]
            copy = target.add_stream_from_template(stream, opaque=True)
            for packet in source.demux(stream):
                if packet.size and packet.dts is not None:
                    packet.pts = packet.dts = packet.dts + 3
                    packet.time_base, packet.stream = Fraction(1, 24), copy
                    target.mux(packet)
    return out
