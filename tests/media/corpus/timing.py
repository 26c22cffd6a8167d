"""When pictures and sounds are shown: uneven clocks, early and late starts, gaps."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from tests.media import clips, hostile, odd, sound
from tests.media.clips import ffmpeg, pattern, tone, x264
from tests.media.corpus.entry import Entry, Sound, Truth, even
from tests.media.corpus.recipes import HEIGHT, WIDTH, at_ticks, picture

_SMALL = {"width": WIDTH, "height": HEIGHT}


_first = partial(Sound, dispositions=frozenset({"default"}))
"""The first sound of an MP4 is its default."""


def _jitter_ms(frame: int) -> int:
    return 42 * frame + 7 * frame % 11


def _mixed_ticks(frame: int) -> int:
    return 5 * frame if frame < 12 else 60 + 4 * (frame - 12)


def _delayed_mp4(directory: Path) -> Path:
    """An empty edit before the picture, none before the sound."""
    out = directory / "delayed.mp4"
    inputs = ("-itsoffset", "0.5", *pattern(24, size="96x64"), *tone(1.5))
    ffmpeg(*inputs, *x264(), "-c:a", "aac", "-b:a", "64k", out)
    return out


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "vfr_jitter",
        picture("jitter.mkv", filters=at_ticks(r"42*N+mod(7*N\,11)", 1000)),
        Truth(
            "Every frame is up to 10 ms late, as a screen recorder writes it.",
            frames=24,
            times_s=tuple(_jitter_ms(n) / 1000 for n in range(24)),
            **_SMALL,
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "vfr_24_then_30",
        picture("mixed.mkv", frames=27, filters=at_ticks(r"if(lt(N\,12)\,5*N\,12+4*N)", 120)),
        Truth(
            "Twelve frames at 24 a second, then fifteen at 30.",
            frames=27,
            times_s=tuple(_mixed_ticks(n) / 120 for n in range(27)),
            **_SMALL,
        ),
    ),
    Entry(
        "frame_of_2_s",
        odd.long_frame,
        Truth(
            "Frame 11 is shown for two seconds.",
            frames=24,
            times_s=tuple(n / 24 + 2 * (n >= 12) for n in range(24)),
            width=160,
            height=90,
        ),
        mp4=True,
    ),
    Entry(
        "fps_1000",
        picture("fast.mp4", rate="1000", frames=60),
        Truth(
            "A thousand frames a second, as high-speed cameras record.",
            frames=60,
            times_s=even(60, 1000),
            **_SMALL,
        ),
        mp4=True,
    ),
    Entry(
        "gap_of_1_h",
        picture("gap.mkv", filters=at_ticks(r"40*N+3600000*gte(N\,12)", 1000)),
        Truth(
            "Nothing happens for an hour between two frames, as cameras that watch a door record.",
            frames=24,
            times_s=tuple(n / 25 + 3600 * (n >= 12) for n in range(24)),
            **_SMALL,
        ),
    ),
    Entry(
        "equal_timestamps",
        hostile.equal_timestamps,
        Truth(
            "Every fourth frame has the timestamp of the one before it.",
            frames=48,
            times_s=tuple((n - (n % 4 == 1)) / 24 for n in range(48)),
            says=("12 timestamps moved apart",),
            output_times_s=tuple((n - (n % 4 == 1)) / 24 + (n % 4 == 1) / 1000 for n in range(48)),
            width=320,
            height=180,
        ),
    ),
    Entry(
        "start_at_5_s",
        lambda directory: clips.start_offset(directory, frames=24),
        Truth(
            "Every timestamp is 5 s later than usual.",
            frames=24,
            times_s=even(24, 24),
            start_s=5.0,
            width=320,
            height=180,
            audio=(Sound("aac", duration_s=1.0),),
        ),
        mp4=True,
    ),
    Entry(
        "frames_in_pairs",
        picture("pairs.mp4", filters=at_ticks(r"40*floor(N/2)+mod(N\,2)", 1000)),
        Truth(
            "Every second frame comes a millisecond after the one before it.",
            frames=24,
            times_s=tuple((40 * (n // 2) + n % 2) / 1000 for n in range(24)),
            **_SMALL,
        ),
    ),
    Entry(
        "negative_start",
        picture(
            "negative.mkv",
            "-output_ts_offset",
            "-0.5",
            "-avoid_negative_ts",
            "disabled",
            codec=x264(bframes=0),
            sound=tone(1),
        ),
        Truth(
            "The clock begins half a second before zero.",
            frames=24,
            times_s=even(24, 24),
            clockless=True,  # libavformat gives no time that is less than zero
            audio=(Sound("aac", duration_s=1.0),),
            **_SMALL,
        ),
    ),
    Entry(
        "sound_earlier",
        lambda directory: sound.beeping(directory, video_delay_s=0.5),
        Truth(
            "Sound begins half a second before the picture.",
            frames=72,
            times_s=even(72, 24),
            width=128,
            height=72,
            audio=(Sound("aac", 1, start_s=-0.5, duration_s=3.0),),
        ),
    ),
    Entry(
        "sound_later",
        lambda directory: sound.beeping(directory, audio_delay_s=0.7),
        Truth(
            "Sound begins 0.7 s after the picture and outlasts it.",
            frames=72,
            times_s=even(72, 24),
            width=128,
            height=72,
            audio=(Sound("aac", 1, start_s=0.7, duration_s=3.0),),
        ),
        mp4=True,
        webm=True,
    ),
    Entry(
        "gaps_in_sound",
        lambda directory: sound.beeping(directory, audio_bsf="noise=drop='between(n,60,80)'"),
        Truth(
            "Packets of sound are missing for 0.45 s, between the two beeps.",
            frames=72,
            times_s=even(72, 24),
            width=128,
            height=72,
            audio=(Sound("aac", 1, duration_s=3.0),),
        ),
    ),
    Entry(
        "edit_list",
        clips.edit_list,
        Truth(
            "An edit list hides the frames between the key frame and 1.3 s.",
            frames=64,
            times_s=even(64, 24),
            width=320,
            height=180,
            audio=(_first("aac", duration_s=2.7),),
        ),
        mp4=True,
    ),
    Entry(
        "empty_edit",
        _delayed_mp4,
        Truth(
            "An empty edit shows the picture half a second after the sound.",
            frames=24,
            times_s=even(24, 24),
            audio=(_first("aac", start_s=-0.5, duration_s=1.5),),
            **_SMALL,
        ),
    ),
)
