"""Interlaced and telecined pictures, and progressive ones that look like them."""

from __future__ import annotations

from pathlib import Path

from tests.media import field_coded, film
from tests.media.clips import ffmpeg, x264
from tests.media.corpus.entry import Entry, Truth, even
from tests.media.corpus.recipes import Recipe, composed, picture

_MADE_WHOLE = frozenset({"deinterlacing"})
_WIDE = {"width": film.WIDTH, "height": film.HEIGHT, "video_codec": "ffv1"}
_PAL = {"width": 192, "height": 144}

_MPEG2 = ("-c:v", "mpeg2video", "-q:v", "4", "-bf", "2", "-g", "12", "-flags", "+ildct+ilme")


def _moments(seed: int, count: int) -> film.Planes:
    """One picture for each field: it moves by 3 pixels from one to the next."""
    return film.shot(seed, count, step=(3, 0))


def _fields(name: str, order: str, codec: tuple[str, ...]) -> Recipe:
    """50 moments a second become the fields of 25 frames, which say so."""
    first = "interleave_top" if order == "tff" else "interleave_bottom"
    filters = f"tinterlace=mode={first},setfield={order}"
    # The pattern moves too little for a test of motion: it is wheeled over the picture.
    filters = f"scroll=h=0.015,{filters}"
    return picture(
        name,
        frames=50,
        rate="50",
        size="192x144",
        filters=filters,
        codec=codec,
        pixel_format="yuv420p",
    )


def _soft_telecine(directory: Path) -> Path:
    """MPEG-2 at 29.97 whose pictures ask for three fields and two, as on film DVDs."""
    whole = film.write_film(directory / "whole.mkv", film.shot(3, 48, step=(2, 0)), fps=30)
    bare, out = directory / "soft.m2v", directory / "soft.mpg"
    coded = ("-c:v", "mpeg2video", "-q:v", "4", "-g", "12", "-bf", "0", "-flags", "+ildct")
    ffmpeg("-r", "30000/1001", "-i", whole, *coded, "-pix_fmt", "yuv420p", bare)
    data = bytearray(bare.read_bytes())
    pulldown = ((1, 1), (0, 0), (0, 1), (1, 0))  # top field first, repeat first field
    pictures = (at for at in range(len(data)) if data[at : at + 4] == b"\x00\x00\x01\xb5")
    pictures = (at for at in pictures if data[at + 4] >> 4 == 8)  # picture coding extension
    for number, at in enumerate(pictures):  # its fields: ISO/IEC 13818-2, section 6.2.3.1
        top_first, repeat = pulldown[number % 4]
        data[at + 7] = data[at + 7] & 0x7D | top_first << 7 | repeat << 1
        data[at + 8] |= 0x80  # progressive_frame, without which no field may be repeated
    bare.write_bytes(data)
    ffmpeg("-i", bare, "-c", "copy", out)
    return out


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "interlaced_tff",
        _fields(
            "tff.ts", "tff", (*x264(), "-flags", "+ildct+ilme", "-x264-params", "tff=1:keyint=25")
        ),
        Truth(
            "Interlaced H.264, the top field first.",
            frames=25,
            times_s=even(25, 25),
            scan="tff",
            named=_MADE_WHOLE,
            **_PAL,
        ),
    ),
    Entry(
        "interlaced_bff",
        _fields("bff.mpg", "bff", _MPEG2),
        Truth(
            "Interlaced MPEG-2, the bottom field first.",
            frames=25,
            times_s=even(25, 25),
            scan="bff",
            named=_MADE_WHOLE,
            video_codec="mpeg2video",
            **_PAL,
        ),
    ),
    Entry(
        "interlaced_untold",
        composed("untold.mkv", lambda: film.interlaced(_moments(5, 96)), fps=25),
        Truth(
            "Interlaced, the top field first, and nothing in the file says so.",
            frames=48,
            times_s=even(48, 25),
            scan="tff",
            named=_MADE_WHOLE,
            **_WIDE,
        ),
    ),
    Entry(
        "telecined",
        composed("telecined.mkv", lambda: film.telecined(film.shot(7, 48, step=(3, 0))), fps=30),
        Truth(
            "Film at 24 a second made into 30 frames by 2:3 pulldown.",
            frames=60,
            times_s=even(60, 30),
            output_times_s=even(48, 24),
            says=("12 of 60 frames are repeats and are left out",),
            scan="telecined",
            named=_MADE_WHOLE,
            **_WIDE,
        ),
    ),
    Entry(
        "scan_mixed",
        composed(
            "mixed.mkv",
            lambda: film.film(film.shot(11, 40, step=(3, 0)), film.interlaced(_moments(12, 80))),
            fps=25,
        ),
        Truth(
            "Forty progressive frames, then forty interlaced ones.",
            frames=80,
            times_s=even(80, 25),
            scan="mixed",
            named=_MADE_WHOLE,
            **_WIDE,
        ),
    ),
    Entry(
        "progressive_flagged_interlaced",
        picture(
            "flagged.mkv",
            codec=(*x264(), "-flags", "+ildct+ilme", "-x264-params", "tff=1:keyint=25"),
            rate="25",
            frames=50,
            size="192x144",
            filters="scroll=h=0.015,setfield=tff",
        ),
        Truth(
            "Whole pictures whose flags say interlaced, as broadcasters send film.",
            frames=50,
            times_s=even(50, 25),
            **_PAL,
        ),
    ),
    Entry(
        "thin_lines_progressive",
        composed("lines.mkv", lambda: _combed_texture(48)),
        Truth(
            "Progressive, and full of lines one row high that look like combs.",
            frames=48,
            times_s=even(48, 24),
            **_WIDE,
        ),
    ),
    Entry(
        "field_coded",
        field_coded.field_coded,
        Truth(
            "Bare H.264 in which two pictures of three are coded as two fields.",
            frames=30,
            times_s=even(30, 25),
            clockless=True,
            width=64,
            height=64,
        ),
    ),
    Entry(
        "soft_telecine",
        _soft_telecine,
        Truth(
            "Film in MPEG-2 whose pictures are shown for three fields and two, in turn.",
            frames=48,
            times_s=tuple((5 * n + 1) // 2 * 1001 / 60000 for n in range(48)),
            clockless=True,
            says=("pictures that ask to repeat a field are shown for longer",),
            width=film.WIDTH,
            height=film.HEIGHT,
            video_codec="mpeg2video",
        ),
    ),
)


def _combed_texture(frames: int) -> film.Planes:
    """Every second row is darker, in a picture that moves."""
    planes = film.shot(17, frames, step=(2, 0)).copy()
    planes[:, 1::2] = planes[:, 1::2] // 2 + 16
    return planes
