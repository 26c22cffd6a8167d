"""One picture in many containers, each with its own way of going wrong."""

from __future__ import annotations

from pathlib import Path

from tests.media import captions, clips, containers, hostile, joined, odd
from tests.media.clips import tone, x264
from tests.media.corpus.entry import Entry, Sound, Truth, even
from tests.media.corpus.recipes import HEIGHT, WIDTH, picture

_SMALL = {"width": WIDTH, "height": HEIGHT}
_PATTERN = {"width": 320, "height": 180}

MPEG2 = ("-c:v", "mpeg2video", "-q:v", "6", "-bf", "2", "-g", "12")


def _lost_packet(directory: Path) -> Path:
    """One transport packet of 188 bytes of the picture is missing, amid frame 12 or so."""
    whole = picture("whole.ts", frames=48, codec=x264(keyint=12), size="320x180")(directory)
    data = whole.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    of_picture = [
        number
        for number, packet in enumerate(packets)
        if packet[1:3] == b"\x01\x00" and not packet[3] & 0x20  # PID 0x100, payload alone
    ]
    del packets[of_picture[len(of_picture) // 2]]
    out = directory / "lost.ts"
    out.write_bytes(b"".join(packets))
    return out


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "ts",
        picture("plain.ts", rate="25", frames=25, sound=tone(1)),
        Truth(
            "MPEG-TS with H.264 and AAC.",
            frames=25,
            times_s=even(25, 25),
            audio=(Sound("aac", duration_s=None),),
            **_SMALL,
        ),
    ),
    Entry(
        "ts_captions",
        captions.captioned,
        Truth(
            "Closed captions (CEA-608) within the pictures.",
            frames=24,
            times_s=even(24, 24),
            says=("closed captions within the pictures",),
            named=frozenset({"captions"}),
            **_SMALL,
        ),
        mp4=True,
    ),
    Entry(
        "ts_clock_wraps",
        hostile.wrapped_ts,
        Truth(
            "The 33-bit clock of MPEG-TS falls to zero after two seconds.",
            frames=96,
            times_s=even(96, 24),
            audio=(Sound("aac", duration_s=None),),
            **_PATTERN,
        ),
        mp4=True,
    ),
    Entry(
        "ts_lost_packet",
        _lost_packet,
        Truth(
            "One transport packet of the picture was lost on the way.",
            says=("1 frame could not be decoded without errors",),
            frames=48,
            times_s=even(48, 24),
            **_PATTERN,
        ),
    ),
    Entry(
        "ts_clock_starts_anew",
        lambda directory: joined.join(
            joined.part(directory, "a.ts", at_s=100), joined.part(directory, "b.ts", at_s=10)
        ),
        Truth(
            "Two recordings joined with cat: the clock of all tracks falls back by 92 s.",
            frames=100,
            times_s=even(100, 25),
            clockless=True,
            width=joined.SIZE[0],
            height=joined.SIZE[1],
            audio=(Sound("aac", 1, start_s=-0.021, duration_s=4.026),),
            says=("The clock falls back by 92.000 s at frame 50",),
            named=frozenset({"clock"}),
        ),
    ),
    Entry(
        "mpeg_ps",
        picture("program.mpg", codec=MPEG2, rate="25", frames=25),
        Truth(
            "MPEG-2 in a program stream.",
            frames=25,
            times_s=even(25, 25),
            video_codec="mpeg2video",
            **_SMALL,
        ),
    ),
    Entry(
        "mpeg_ps_rare_timestamps",
        hostile.rare_timestamps,
        Truth(
            "A program stream with one timestamp for each group, as on many discs.",
            frames=75,
            times_s=even(75, 25),
            clockless=True,
            video_codec="mpeg2video",
            **_PATTERN,
        ),
    ),
    Entry(
        "avi_packed_b",
        containers.packed_avi,
        Truth(
            "MPEG-4 ASP in AVI, two pictures in one packet, as DivX wrote it.",
            says=("it was read from the pictures",),
            frames=72,
            times_s=even(72, 24),
            clockless=True,
            video_codec="mpeg4",
            **_PATTERN,
        ),
    ),
    Entry(
        "avi_empty_packets",
        odd.holey_avi,
        Truth(
            "AVI with three empty packets behind its first picture, which is shown until then.",
            frames=24,
            times_s=(0.0, *(n / 24 for n in range(4, 27))),
            named=frozenset({"color_chroma_location"}),
            width=160,
            height=90,
            video_codec="mjpeg",
        ),
    ),
    Entry(
        "raw_h264",
        lambda directory: clips.raw_h264(directory, frames=48),
        Truth(
            "Bare H.264 with B-pictures: no container, no clock.",
            frames=48,
            times_s=even(48, 24),
            clockless=True,
            **_PATTERN,
        ),
        mp4=True,
    ),
    Entry(
        "raw_hevc",
        lambda directory: clips.raw_hevc(directory, frames=48),
        Truth(
            "Bare HEVC with B-pictures: no container, no clock.",
            frames=48,
            times_s=even(48, 24),
            clockless=True,
            video_codec="hevc",
            **_PATTERN,
        ),
    ),
    Entry(
        "flv",
        picture("flash.flv", sound=tone(1)),
        Truth(
            "FLV, whose clock counts milliseconds.",
            frames=24,
            times_s=even(24, 24),
            audio=(Sound("aac", duration_s=None),),
            **_SMALL,
        ),
    ),
    Entry(
        "webm_vp9_odd_size",
        clips.odd_size,
        Truth(
            "VP9 in WebM, 175x99: odd in both directions.",
            frames=24,
            times_s=even(24, 24),
            width=175,
            height=99,
            video_codec="vp9",
        ),
        mp4=True,
    ),
    Entry(
        "webm_vp8_hidden",
        containers.webm_vp8_hidden,
        Truth(
            "VP8 with packets that are never shown.",
            frames=72,
            times_s=even(72, 24),
            width=160,
            height=90,
            video_codec="vp8",
        ),
    ),
    Entry(
        "mp4_fragmented",
        picture("fragments.mp4", "-movflags", "frag_keyframe+empty_moov", frames=48),
        Truth("MP4 in fragments.", frames=48, times_s=even(48, 24), **_SMALL),
    ),
    Entry(
        "wmv",
        picture("windows.wmv", codec=("-c:v", "wmv2", "-q:v", "6", "-g", "24")),
        Truth(
            "Windows Media Video 8 in ASF.",
            frames=24,
            times_s=even(24, 24),
            video_codec="wmv2",
            **_SMALL,
        ),
    ),
    Entry(
        "ogg_theora",
        picture("theora.ogv", codec=("-c:v", "libtheora", "-q:v", "5", "-g", "24")),
        Truth(
            "Theora in Ogg.",
            frames=24,
            times_s=even(24, 24),
            video_codec="theora",
            named=frozenset({"color_chroma_location"}),
            **_SMALL,
        ),
    ),
    Entry(
        "mxf",
        picture("tape.mxf", codec=MPEG2, rate="25", frames=25),
        Truth(
            "MPEG-2 in MXF.",
            frames=25,
            times_s=even(25, 25),
            video_codec="mpeg2video",
            **_SMALL,
        ),
    ),
    Entry(
        "gif",
        picture("loop.gif", codec=(), pixel_format="rgb8", frames=12, rate="10"),
        Truth(
            "An animated GIF, whose format has transparency.",
            frames=12,
            times_s=even(12, 10),
            video_codec="gif",
            says=("has transparency, which is lost",),
            named=frozenset({"alpha", "chroma_format", "color_matrix", "color_range"}),
            **_SMALL,
        ),
    ),
    Entry(
        "av1_bare",
        picture("bare.obu", codec=odd.AV1),
        Truth(
            "Bare AV1, to be encoded once more; nothing in it says how fast it is.",
            frames=24,
            times_s=even(24, 25),
            says=("25 frames per second assumed, which is a guess",),
            clockless=True,
            video_codec="av1",
            **_SMALL,
        ),
    ),
)
