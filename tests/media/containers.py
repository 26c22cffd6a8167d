"""Builders of one moving picture in many containers and codecs, for whoever reads timestamps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.media import clips
from tests.media.clips import ffmpeg, pattern, x264

VP9 = "-c:v libvpx-vp9 -deadline good -cpu-used 8 -b:v 150k -g 24"
X264 = " ".join(x264())


def _coded(
    name: str, options: str = "", *, frames: int = 72, rate: str = "24"
) -> Callable[[Path], Path]:
    """A builder that encodes the pattern with these output options into a file of this name."""

    def build(directory: Path) -> Path:
        out = directory / name
        ffmpeg(*pattern(frames, rate=rate), "-pix_fmt", "yuv420p", *options.split(), out)
        return out

    return build


def webm_vp8_hidden(directory: Path) -> Path:
    """VP8 with alternate reference frames: packets that are never shown."""
    out = directory / "vp8.webm"
    coding = "-c:v libvpx -b:v 60k -auto-alt-ref 1 -lag-in-frames 16 -g 48 -cpu-used 8"
    options = (*coding.split(), "-passlogfile", str(directory / "vp8"))
    source = pattern(72, size="160x90")
    ffmpeg(*source, *options, "-pass", "1", "-f", "null", "-")
    ffmpeg(*source, *options, "-pass", "2", out)
    return out


def packed_avi(directory: Path) -> Path:
    """MPEG-4 ASP in AVI with a packed bitstream, as DivX wrote it: two pictures in one packet,
    then an empty one."""
    out = directory / "packed.avi"
    plain = _coded("plain.m4v", "-c:v mpeg4 -q:v 6 -bf 1 -g 24 -f m4v")(directory)
    pictures = _split_vops(plain.read_bytes())
    packets: list[bytes] = []
    held: bytes | None = None
    for picture in pictures:
        is_b = picture[picture.index(b"\x00\x00\x01\xb6") + 4] >> 6 == 2
        if is_b and packets:
            packets[-1] += picture
            held = b"\x00\x00\x01\xb6\x51\x20"  # a P-VOP with vop_coded = 0
            packets.append(held)
        else:
            packets.append(picture)
    user_data = b"\x00\x00\x01\xb2DivX503b1393p"
    at = packets[0].index(b"\x00\x00\x01\xb6")
    packets[0] = packets[0][:at] + user_data + packets[0][at:]
    _mux_avi(out, packets)
    return out


def _split_vops(data: bytes) -> list[bytes]:
    """Every VOP with the headers before it."""
    starts = [i for i in range(len(data) - 4) if data[i : i + 4] == b"\x00\x00\x01\xb6"]
    edges = [0]
    for here, after in pairwise(starts):
        headers = [
            data.find(b"\x00\x00\x01" + bytes([code]), here + 4, after) for code in (0xB0, 0xB3)
        ]
        found = [at for at in headers if at >= 0]
        edges.append(min(found) if found else after)
    edges.append(len(data))
    return [data[a:b] for a, b in pairwise(edges)]


def _mux_avi(out: Path, packets: list[bytes]) -> None:
    from fractions import Fraction

    import av

    with av.open(f"file:{out}", "w", format="avi") as container:
        stream = container.add_stream("mpeg4", rate=24)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream = stream
            packet.time_base = Fraction(1, 24)
            packet.dts = packet.pts = number
            packet.duration = 1
            packet.is_keyframe = b"\x00\x00\x01\xb6" in data and (
                data[data.index(b"\x00\x00\x01\xb6") + 4] >> 6 == 0
            )
            container.mux(packet)


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "mkv": clips.simple,
    "mp4": lambda d: clips.simple(d, "simple.mp4"),
    "mp4_fragmented": _coded("frag.mp4", f"{X264} -movflags frag_keyframe+empty_moov"),
    "mov": lambda d: clips.simple(d, "simple.mov"),
    "ts": clips.ts,
    "flv": lambda d: clips.simple(d, "simple.flv"),
    "avi_h264": lambda d: clips.silent(d, "h264.avi"),
    "avi_mpeg4": _coded("mpeg4.avi", "-c:v mpeg4 -q:v 6 -bf 2 -g 24"),
    "avi_mpeg4_no_b": _coded("mpeg4_nob.avi", "-c:v mpeg4 -q:v 6 -g 24"),
    "avi_mjpeg": _coded("mjpeg.avi", "-c:v mjpeg -q:v 8"),
    "avi_packed": packed_avi,
    "mpeg_ps": _coded("mpeg2.mpg", "-c:v mpeg2video -q:v 6 -bf 2 -g 12", rate="25"),
    "mpeg2_ts": _coded("mpeg2.ts", "-c:v mpeg2video -q:v 6 -bf 2 -g 12", rate="25"),
    "mpeg2_es": _coded("mpeg2.m2v", "-c:v mpeg2video -q:v 6 -bf 2 -g 12", rate="25"),
    "mpeg4_es": _coded("mpeg4.m4v", "-c:v mpeg4 -q:v 6 -bf 2 -g 24 -f m4v"),
    "webm_vp9": _coded("vp9.webm", f"{VP9} -auto-alt-ref 1 -lag-in-frames 16"),
    "webm_vp8": webm_vp8_hidden,
    "av1_mkv": _coded("av1.mkv", "-c:v libsvtav1 -preset 12 -crf 50 -g 24"),
    "av1_obu": _coded("av1.obu", "-c:v libsvtav1 -preset 12 -crf 50 -g 24"),
    "vp9_ivf": _coded("vp9.ivf", VP9),
    "hevc_mp4": _coded("hevc.mp4", " ".join(clips.x265())),
    "hevc_ts": _coded("hevc.ts", " ".join(clips.x265())),
    "raw_h264": clips.raw_h264,
    "raw_hevc": clips.raw_hevc,
    "raw_h264_adaptive": _coded("adaptive.h264", "-c:v libx264 -preset fast -bf 5 -g 60 -crf 32"),
    "raw_hevc_open": _coded("open.h265", " ".join(clips.x265(extra="open-gop=1"))),
    "raw_vvc": _coded("small.266", "-c:v libvvenc -preset faster -qp 45 -f vvc", frames=20),
    "interlaced_ts": _coded(
        "mbaff.ts", f"{' '.join(x264(extra='tff=1'))} -flags +ildct+ilme", rate="25"
    ),
    "vfr": clips.vfr,
    "vfr_mp4": lambda d: clips.vfr(d, "vfr.mp4"),
    "start_offset": clips.start_offset,
    "edit_list": clips.edit_list,
    "open_gop": clips.open_gop,
    "open_gop_hevc": clips.open_gop_hevc,
    "open_gop_ts": lambda d: clips.open_gop(d, "open_gop.ts"),
    "wmv_asf": _coded("wmv2.wmv", "-c:v wmv2 -q:v 6 -g 24"),
    "ogv": _coded("theora.ogv", "-c:v libtheora -q:v 5 -g 24"),
    "mxf": _coded("mpeg2.mxf", "-c:v mpeg2video -q:v 6 -bf 2 -g 12", rate="25"),
    "flv1": _coded("flv1.flv", "-c:v flv -q:v 6 -g 24"),
    "nut": lambda d: clips.silent(d, "h264.nut"),
    "y4m": _coded("raw.y4m", frames=24),
    "gif": _coded("anim.gif", frames=12),
}  # fmt: skip
"""By name: a builder taking a directory. No frame counts here: a full decode is the truth."""


def shared(name: str, cache: Path) -> Path:
    """The clip `name` of BUILDERS, made once in `cache` (such as tmp_path_factory's base)."""
    directory = cache / f"clip-{name}"
    marker = directory / "path.txt"
    if not marker.exists():
        directory.mkdir(exist_ok=True)
        marker.write_text(BUILDERS[name](directory).name)
    return directory / marker.read_text()
