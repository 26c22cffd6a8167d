"""Builders of small real clips, made with the ffmpeg program that the project installs.

Every builder takes a directory, writes one file into it and returns its path (some return
what is known to be true about the file as well). They are deterministic and do not cache:
a test module that wants one clip often makes it in a session- or module-scoped fixture, with
`tmp_path_factory`. Clips that are damaged or are no video at all: `tests/media/hostile.py`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

FONT_BYTES = b"\x00\x01\x00\x00 not really a font, but an attachment with a font's name"
"""What `rich_tracks` attaches as 'Some Font.ttf'."""

Scene = tuple[str, int]
"""A lavfi source without size and rate, and how many frames of it."""

COLORS = "c0=0x803020:c1=0x20a060:c2=0x3040c0:c3=0xd0c040"
"""Without them `gradients` draws others every time, whatever its seed."""

SCENES: tuple[Scene, ...] = (
    ("testsrc2", 40),
    ("mandelbrot=start_scale=0.5:end_pts=300", 55),
    ("smptehdbars", 33),
    (f"gradients=seed=7:speed=0.02:nb_colors=4:{COLORS}", 48),
    ("testsrc", 30),
)

HALF: tuple[Scene, ...] = tuple((source, frames // 2) for source, frames in SCENES)
"""At 12 frames a second as long as `SCENES` at 24, and half as much to encode."""

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "28", "-pix_fmt", "yuv420p")


def ffmpeg(*arguments: str | Path) -> None:
    """Run the bundled ffmpeg; its last words become the assertion if it fails.

    The last argument is the output, which is the same to the byte every time.
    """
    import imageio_ffmpeg

    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-hide_banner", "-loglevel", "error"]
    argv += ["-y", *map(str, arguments[:-1]), "-bitexact", str(arguments[-1])]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stderr[-3000:]}"


def pattern(frames: int, *, size: str = "320x180", rate: str = "24") -> tuple[str, ...]:
    """Input arguments: a moving test pattern in which every frame differs."""
    return ("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d=1000,trim=end_frame={frames}")


def tone(duration_s: float, *, channels: str = "stereo") -> tuple[str, ...]:
    """Input arguments: a 440 Hz tone at 48 kHz in the given channel layout."""
    source = f"sine=f=440:r=48000:d={duration_s},aformat=channel_layouts={channels}"
    return ("-f", "lavfi", "-i", source)


def x264(*, keyint: int = 24, bframes: int = 3, extra: str = "") -> tuple[str, ...]:
    """Output arguments: H.264 with closed GOPs of a fixed length and B-pyramid."""
    params = f"keyint={keyint}:min-keyint={keyint}:scenecut=0:bframes={bframes}:b-adapt=0"
    params += ":b-pyramid=normal:ref=3:open-gop=0:threads=2" + (f":{extra}" if extra else "")
    return (*X264, "-x264-params", params)


def x265(*, keyint: int = 24, bframes: int = 3, extra: str = "") -> tuple[str, ...]:
    """Output arguments: HEVC, small and quick."""
    params = f"keyint={keyint}:min-keyint={keyint}:scenecut=0:bframes={bframes}:b-adapt=0"
    params += ":pools=2:frame-threads=1:log-level=error" + (f":{extra}" if extra else "")
    return ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", params)


def tagged(transfer: str) -> str:
    """A filter that tags frames as BT.2020 non-constant luminance, limited range."""
    return (
        "format=yuv420p10le,setparams=color_primaries=bt2020:colorspace=bt2020nc:range=limited"
        f":color_trc={transfer}"
    )


def simple(directory: Path, name: str = "simple.mkv", *, frames: int = 72) -> Path:
    """320x180, 24 fps, 3 s, H.264 with B-frames and a key frame a second; AAC stereo.

    The container follows from the name's extension.
    """
    out = directory / name
    audio = ("-c:a", "aac", "-b:a", "64k")
    ffmpeg(*pattern(frames), *tone(frames / 24), *x264(), *audio, out)
    return out


def silent(directory: Path, name: str = "silent.mkv", *, frames: int = 48) -> Path:
    """As `simple`, without audio."""
    out = directory / name
    ffmpeg(*pattern(frames), *x264(), out)
    return out


def audio_only(directory: Path) -> Path:
    """Two seconds of AAC in an .m4a: no video stream."""
    out = directory / "audio.m4a"
    ffmpeg(*tone(2), "-c:a", "aac", "-b:a", "64k", out)
    return out


def with_cuts(
    directory: Path,
    scenes: Sequence[Scene] = SCENES,
    *,
    size: str = "320x180",
    rate: int = 24,
    audio: bool = True,
    name: str = "cuts.mkv",
) -> tuple[Path, tuple[int, ...]]:
    """Different sources joined; the path and the true cuts (first frame of every later scene).

    The encoder knows nothing of the cuts: a key frame every 48 frames only.
    """
    out = directory / name
    inputs: list[str] = []
    for source, frames in scenes:
        joint = ":" if "=" in source else "="
        graph = f"{source}{joint}s={size}:r={rate},format=yuv420p,trim=end_frame={frames}"
        inputs += ["-f", "lavfi", "-i", graph]
    total = sum(frames for _, frames in scenes)
    pads = "".join(f"[{i}:v]setsar=1[v{i}];" for i in range(len(scenes)))
    pads += "".join(f"[v{i}]" for i in range(len(scenes)))
    graph = f"{pads}concat=n={len(scenes)}:v=1:a=0,setpts=N/({rate}*TB)[v]"
    sound = tone(total / rate) if audio else ()
    maps = ["-filter_complex", graph, "-map", "[v]"]
    maps += ["-map", f"{len(scenes)}:a", "-c:a", "aac", "-b:a", "64k"] if audio else []
    ffmpeg(*inputs, *sound, *maps, *x264(keyint=48), "-r", str(rate), out)
    cuts, position = [], 0
    for _, frames in scenes[:-1]:
        position += frames
        cuts.append(position)
    return out, tuple(cuts)


def letterboxed(directory: Path, *, frames: int = 72, bar: int = 24) -> Path:
    """320x180 with black bars of `bar` rows above and below a moving picture; no audio."""
    out = directory / "letterboxed.mkv"
    graph = f"pad=320:180:0:{bar}:black"
    ffmpeg(*pattern(frames, size=f"320x{180 - 2 * bar}"), "-vf", graph, *x264(), out)
    return out


def vfr(directory: Path, name: str = "vfr.mkv", *, frames: int = 90) -> Path:
    """Frames of a 30 fps pattern dropped unevenly (7 of 11 stay): truly variable rate."""
    out = directory / name
    graph = "select='gt(mod(n*7,11),3)'"
    ffmpeg(*pattern(frames, rate="30"), "-vf", graph, "-fps_mode", "vfr", *x264(), out)
    return out


def raw_h264(directory: Path, *, frames: int = 72) -> Path:
    """An elementary H.264 stream with B-pyramid: no container, no timestamps."""
    out = directory / "raw.h264"
    ffmpeg(*pattern(frames), *x264(), "-f", "h264", out)
    return out


def raw_hevc(directory: Path, *, frames: int = 72) -> Path:
    """An elementary HEVC stream with B-frames: no container, no timestamps."""
    out = directory / "raw.h265"
    ffmpeg(*pattern(frames), *x265(), "-pix_fmt", "yuv420p", "-f", "hevc", out)
    return out


def ts(directory: Path, *, frames: int = 72) -> Path:
    """MPEG-TS, H.264 and AAC; starts at about 1.4 s as the muxer likes it."""
    return simple(directory, "simple.ts", frames=frames)


def hdr10(directory: Path, name: str = "hdr10.mkv", *, frames: int = 24) -> Path:
    """HEVC Main 10, BT.2020 PQ; P3-D65 mastering display 0.005..1000 cd/m²; MaxCLL 1000/400."""
    out = directory / name
    extra = (
        "hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
        ":range=limited:chromaloc=2:max-cll=1000,400:"
        "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    )
    options = (*x265(extra=extra), "-pix_fmt", "yuv420p10le")
    ffmpeg(*pattern(frames), "-vf", tagged("smpte2084"), *options, out)
    return out


def hlg(directory: Path, *, frames: int = 24) -> Path:
    """HEVC Main 10, BT.2020, HLG transfer (arib-std-b67), in MP4."""
    out = directory / "hlg.mp4"
    extra = "colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc:range=limited"
    options = (*x265(extra=extra), "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1")
    ffmpeg(*pattern(frames), "-vf", tagged("arib-std-b67"), *options, out)
    return out


def open_gop(directory: Path, name: str = "open_gop.mkv", *, frames: int = 96) -> Path:
    """H.264 with open GOPs: B-frames shown before a key frame refer to the GOP before it."""
    out = directory / name
    ffmpeg(*pattern(frames), *x264(extra="open-gop=1"), out)
    return out


def open_gop_hevc(directory: Path, *, frames: int = 96) -> Path:
    """HEVC with CRA pictures and leading (RASL) pictures."""
    out = directory / "open_gop_hevc.mkv"
    ffmpeg(*pattern(frames), *x265(extra="open-gop=1"), "-pix_fmt", "yuv420p", out)
    return out


def start_offset(directory: Path, *, frames: int = 72) -> Path:
    """As `simple`, but every timestamp is 5 s later."""
    out = directory / "start_offset.mkv"
    inputs = (*pattern(frames), *tone(frames / 24))
    ffmpeg(*inputs, *x264(), "-c:a", "aac", "-output_ts_offset", "5", out)
    return out


def edit_list(directory: Path) -> Path:
    """MP4 cut by stream copy at 1.3 s: an edit list hides the frames since the key frame."""
    whole = simple(directory, "whole.mp4", frames=96)
    out = directory / "edit_list.mp4"
    ffmpeg("-ss", "1.3", "-i", whole, "-c", "copy", out)
    return out


def anamorphic(directory: Path) -> Path:
    """352x288 with sample aspect ratio 16:11 (a wide-screen PAL shape)."""
    out = directory / "anamorphic.mkv"
    ffmpeg(*pattern(24, size="352x288", rate="25"), "-vf", "setsar=16/11", *x264(), out)
    return out


def rotated(directory: Path, *, degrees: int = 90) -> Path:
    """MP4 whose display matrix turns the picture by `degrees` (ffmpeg's sense of direction)."""
    plain = silent(directory, "unrotated.mp4", frames=24)
    out = directory / f"rotated{degrees}.mp4"
    ffmpeg("-display_rotation", str(degrees), "-i", plain, "-c", "copy", out)
    return out


def mirrored(directory: Path) -> Path:
    """MP4 whose display matrix flips the picture left to right."""
    plain = silent(directory, "unmirrored.mp4", frames=24)
    out = directory / "mirrored.mp4"
    ffmpeg("-display_hflip", "-i", plain, "-c", "copy", out)
    return out


def odd_size(directory: Path) -> Path:
    """VP9 4:2:0, 175x99: odd in both directions."""
    out = directory / "odd.webm"
    speed = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "200k")
    graph = "format=yuv420p,crop=175:99:0:0:exact=1"
    ffmpeg(*pattern(24, size="176x100"), "-vf", graph, *speed, out)
    return out


def ten_bit_422(directory: Path) -> Path:
    """H.264 High 4:2:2 10 bit."""
    out = directory / "ten_bit_422.mkv"
    ffmpeg(*pattern(24), *x264(), "-pix_fmt", "yuv422p10le", out)
    return out


def twelve_bit_444(directory: Path) -> Path:
    """HEVC Main 4:4:4 12."""
    out = directory / "twelve_bit_444.mkv"
    ffmpeg(*pattern(24), *x265(), "-pix_fmt", "yuv444p12le", out)
    return out


def decoded_hashes(path: Path, stream: int = 0) -> list[str]:
    """MD5 of every decoded picture of video stream `stream`, in display order."""
    return [line for _, line in decoded_frames(path, stream)]


def decoded_frames(path: Path, stream: int = 0) -> list[tuple[int, str]]:
    """(pts, MD5) of every frame that the ffmpeg program decodes, in the stream's time base."""
    import imageio_ffmpeg

    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-copyts"]
    argv += ["-noautorotate", "-i", f"file:{path}", "-map", f"0:v:{stream}"]
    argv += ["-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", "framemd5", "-"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    rows = [line.split(",") for line in done.stdout.splitlines() if not line.startswith("#")]
    return [(int(row[2]), row[5].strip()) for row in rows]
