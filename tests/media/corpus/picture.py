"""How many pictures of what size and shape, and how they are turned."""

from __future__ import annotations

from pathlib import Path

from tests.media import clips, odd, tracks
from tests.media.clips import ffmpeg
from tests.media.corpus.entry import Entry, Truth, even
from tests.media.corpus.recipes import HEIGHT, WIDTH, Recipe, picture

_SMALL = {"width": WIDTH, "height": HEIGHT}
_HUGE = (7680, 4320)


def _turned(degrees: int, flip: str = "") -> Recipe:
    """QuickTime as phones write it: the picture lies on its side, a matrix turns it."""

    def make(directory: Path) -> Path:
        plain = clips.silent(directory, "plain.mov", frames=12)
        out = directory / f"turned{degrees}{flip}.mov"
        turn = ("-display_rotation", str(degrees), *([flip] if flip else []))
        ffmpeg(*turn, "-i", plain, "-c", "copy", out)
        return out

    return make


def _shown_at_4_3(directory: Path) -> Path:
    plain, out = picture("plain.mkv")(directory), directory / "aspect.mkv"
    ffmpeg("-i", plain, "-c", "copy", "-aspect", "4:3", out)
    return out


def _rotation(degrees: int) -> Truth:
    return Truth(
        f"QuickTime that a player turns by {degrees} degrees anticlockwise.",
        frames=12,
        times_s=even(12, 24),
        width=320,
        height=180,
        rotation=degrees,
    )


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "one_frame",
        picture("one.mkv", frames=1),
        Truth("A film of a single frame.", frames=1, times_s=(0.0,), **_SMALL),
        mp4=True,
    ),
    Entry(
        "two_frames",
        picture("two.mp4", frames=2),
        Truth("A film of two frames.", frames=2, times_s=even(2, 24), **_SMALL),
        mp4=True,
    ),
    Entry(
        "size_32x32",
        picture("tiny.mkv", size="32x32"),
        Truth("A picture of 32x32.", frames=24, times_s=even(24, 24), width=32, height=32),
    ),
    Entry(
        "size_854x479",
        picture(
            "odd.mkv",
            size="854x480",
            filters="format=yuv444p,crop=854:479:0:0:exact=1",
            codec=("-c:v", "ffv1"),
            pixel_format="yuv444p",
            frames=6,
        ),
        Truth(
            "A height that is odd.",
            frames=6,
            times_s=even(6, 24),
            width=854,
            height=479,
            video_codec="ffv1",
            named=frozenset({"chroma_format"}),
        ),
    ),
    Entry(
        "size_8k",
        picture("huge.mkv", size=f"{_HUGE[0]}x{_HUGE[1]}", frames=2),
        Truth(
            "Two frames of 7680x4320.",
            frames=2,
            times_s=even(2, 24),
            width=_HUGE[0],
            height=_HUGE[1],
        ),
    ),
    Entry(
        "anamorphic",
        clips.anamorphic,
        Truth(
            "A wide picture in narrow samples, 16:11.",
            frames=24,
            times_s=even(24, 25),
            width=352,
            height=288,
            pixel_aspect=(16, 11),
        ),
        mp4=True,
        webm=True,
    ),
    Entry("rotated_90", _turned(90), _rotation(90), mp4=True),
    Entry("rotated_180", _turned(180), _rotation(180)),
    Entry("rotated_270", _turned(270), _rotation(270)),
    Entry(
        "mirrored",
        _turned(0, "-display_hflip"),
        Truth(
            "QuickTime that a player flips left to right.",
            frames=12,
            times_s=even(12, 24),
            width=320,
            height=180,
            mirrored=True,
        ),
        mp4=True,
    ),
    Entry(
        "rotated_90_mirrored",
        _turned(90, "-display_hflip"),
        Truth(
            "QuickTime that a player turns by 90 degrees and then flips left to right.",
            frames=12,
            times_s=even(12, 24),
            width=320,
            height=180,
            rotation=90,
            mirrored=True,
        ),
    ),
    Entry(
        "aspect_by_container",
        _shown_at_4_3,
        Truth(
            "Square samples by the stream, 4:3 by the container, which counts.",
            frames=24,
            times_s=even(24, 24),
            pixel_aspect=(8, 9),
            **_SMALL,
        ),
    ),
    Entry(
        "size_changes",
        odd.changed_size_ts,
        Truth(
            "The picture grows from 192x108 to 320x180 in the middle.",
            frames=48,
            times_s=even(48, 24),
            width=192,
            height=108,
            says=("The picture changes its size at frame 24",),
            named=frozenset({"picture_changes"}),
        ),
    ),
    Entry(
        "two_videos",
        tracks.two_videos,
        Truth(
            "Two video streams, the second and larger one the default.",
            frames=72,
            times_s=even(72, 24),
            width=320,
            height=180,
            videos=2,
            main=1,
            named=frozenset({"track_dropped"}),
        ),
    ),
)
