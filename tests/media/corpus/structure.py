"""How pictures refer to each other: groups, pyramids, key frames."""

from __future__ import annotations

from pathlib import Path

from tests.media import clips, hostile
from tests.media.clips import x264, x265
from tests.media.corpus.entry import Entry, Sound, Truth, even
from tests.media.corpus.recipes import HEIGHT, WIDTH, picture

_SMALL = {"width": WIDTH, "height": HEIGHT}
_PATTERN = {"width": 320, "height": 180}

_PYRAMID = x264(keyint=48, bframes=7, extra="b-pyramid=normal:ref=4")
_PYRAMID_HEVC = x265(keyint=48, bframes=8, extra="b-pyramid=1:rc-lookahead=20")
_GRADUAL = x264(keyint=1000, bframes=0, extra="intra-refresh=1")


def _vp9_alt_refs(directory: Path) -> Path:
    coding = "-c:v libvpx-vp9 -deadline good -cpu-used 8 -b:v 60k -g 48"
    hidden = "-auto-alt-ref 1 -lag-in-frames 16"
    return picture("alt.webm", codec=(*coding.split(), *hidden.split()), frames=48)(directory)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "open_gop_h264",
        clips.open_gop,
        Truth(
            "Pictures shown before a key frame refer to the group before it, in H.264.",
            frames=96,
            times_s=even(96, 24),
            **_PATTERN,
        ),
    ),
    Entry(
        "open_gop_hevc",
        clips.open_gop_hevc,
        Truth(
            "Key frames are CRA pictures with leading pictures, in HEVC.",
            frames=96,
            times_s=even(96, 24),
            video_codec="hevc",
            **_PATTERN,
        ),
    ),
    Entry(
        "open_start_hevc",
        hostile.open_start,
        Truth(
            "It begins with a CRA picture whose leading pictures refer to what is not there.",
            says=("3 frames at the start cannot be decoded",),
            frames=72,
            times_s=even(72, 24),
            video_codec="hevc",
            **_PATTERN,
        ),
    ),
    Entry(
        "no_key_frame_first",
        hostile.headless,
        Truth(
            "Its first key frame comes after 21 frames that no decoder can show.",
            frames=48,
            times_s=even(48, 24),
            start_s=1.0,
            says=("21 frames before the first key frame cannot be decoded",),
            **_PATTERN,
        ),
    ),
    Entry(
        "begins_between_key_frames",
        hostile.begins_between_key_frames,
        Truth(
            "A recording that starts in the middle of a group, as a receiver makes it.",
            frames=72,
            times_s=even(72, 24),
            audio=(Sound("aac", start_s=-0.338, duration_s=3.35),),
            says=("3 frames before the first key frame cannot be decoded",),
            **_PATTERN,
        ),
    ),
    Entry(
        "b_pyramid",
        picture("pyramid.mkv", codec=_PYRAMID, frames=48),
        Truth(
            "Seven B-pictures in a row, some of them references.",
            frames=48,
            times_s=even(48, 24),
            **_SMALL,
        ),
    ),
    Entry(
        "b_pyramid_hevc",
        picture("pyramid.mp4", codec=_PYRAMID_HEVC, frames=48),
        Truth(
            "Eight B-pictures in a row in HEVC, in MP4.",
            frames=48,
            times_s=even(48, 24),
            video_codec="hevc",
            **_SMALL,
        ),
        mp4=True,
    ),
    Entry(
        "intra_only",
        picture("intra.mkv", codec=x264(keyint=1, bframes=0)),
        Truth("Every frame is a key frame.", frames=24, times_s=even(24, 24), **_SMALL),
    ),
    Entry(
        "intra_only_prores",
        picture(
            "prores.mov",
            codec=("-c:v", "prores_ks", "-profile:v", "2"),
            pixel_format="yuv422p10le",
            frames=12,
        ),
        Truth(
            "ProRes 422, every frame by itself.",
            frames=12,
            times_s=even(12, 24),
            video_codec="prores",
            pixel_format="yuv422p10le",
            named=frozenset({"chroma_format"}),
            **_SMALL,
        ),
    ),
    Entry(
        "one_key_frame",
        picture("one_key.mkv", codec=x264(keyint=1000), frames=48),
        Truth("A single key frame, the first.", frames=48, times_s=even(48, 24), **_SMALL),
    ),
    Entry(
        "gradual_refresh",
        picture("gradual.mkv", codec=_GRADUAL, frames=48),
        Truth(
            "A column of intra blocks wanders over the picture in place of key frames.",
            frames=48,
            times_s=even(48, 24),
            **_SMALL,
        ),
    ),
    Entry(
        "hidden_alt_refs_vp9",
        _vp9_alt_refs,
        Truth(
            "VP9 with reference pictures that are never shown.",
            frames=48,
            times_s=even(48, 24),
            video_codec="vp9",
            **_SMALL,
        ),
    ),
)
