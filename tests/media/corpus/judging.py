"""Holds a file that was read against a truth: the source's own, or that of its output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from tests.media.corpus.entry import Chapter, Elsewhere, Sound, Text, Truth
from tests.media.corpus.reading import Reading

SOUND_START_S = 0.025  # as in docs/manifest.md: `audio_start`
SOUND_LENGTH_S = 0.060  # and `audio_duration`
TONE_HZ = 4  # two steps of a spectrum of half a second
CHAPTER_S = 0.002  # half a tick of Matroska for the frame, and one of the source for the chapter


def output_truth(truth: Truth, suffix: str = ".mkv") -> Truth:
    """What has to be true of the output of a source: AV1, Opus, and all the rest as it was."""
    other = _elsewhere(truth, suffix)
    width, height = truth.output_size or (truth.crop or (truth.width, truth.height))[:2]
    times_s = truth.output_times_s or truth.times_s
    kept: dict[str, Any] = {
        name: getattr(truth, name) if getattr(other, name) is None else getattr(other, name)
        for name in ("audio", "subtitles", "chapters", "attachments", "covers")
    }
    kept["audio"] = tuple(replace(s, codec="opus", rate=48_000, layout=None) for s in kept["audio"])
    if suffix == ".mp4":
        kept["audio"], kept["subtitles"] = _enabled(kept["audio"]), _enabled(kept["subtitles"])
    return replace(
        truth,
        video_codec="av1",
        videos=1,
        main=0,
        frames=truth.frames if truth.output_times_s is None else len(truth.output_times_s),
        times_s=times_s,
        clockless=False,
        start_s=None,
        width=width,
        height=height,
        pixel_aspect=truth.output_pixel_aspect or truth.pixel_aspect,
        pixel_format="",
        **kept,
    )


def _enabled(tracks: tuple[Any, ...]) -> tuple[Any, ...]:
    """MP4 enables the first track of a kind if none is the default."""
    if not tracks or any("default" in track.dispositions for track in tracks):
        return tracks
    return (replace(tracks[0], dispositions=tracks[0].dispositions | {"default"}), *tracks[1:])


def expected_exit(truth: Truth, suffix: str) -> int:
    other = _elsewhere(truth, suffix).exit_code
    return truth.exit_code if other is None else other


def expected_words(truth: Truth, suffix: str) -> tuple[str, ...]:
    return (*truth.says, *_elsewhere(truth, suffix).says)


def expected_named(truth: Truth, suffix: str) -> frozenset[str]:
    return truth.named | _elsewhere(truth, suffix).named


def _elsewhere(truth: Truth, suffix: str) -> Elsewhere:
    return {".mkv": truth.mkv, ".mp4": truth.mp4, ".webm": truth.webm}[suffix]


def differences(found: Reading, truth: Truth, *, tick_s: float) -> list[str]:
    """What is otherwise than stated, each as 'field: found, not stated'; empty if nothing.

    `tick_s`: how far apart two times of one frame may be, rounded by the container.
    """
    return list(_differences(found, truth, tick_s))


def _differences(found: Reading, truth: Truth, tick_s: float) -> Iterator[str]:
    names = ["videos", "covers"]
    if truth.frames is not None:
        names += ["frames", "video_codec", "rotation", "mirrored", "hdr10_plus", "dolby_vision"]
        names += [name for name in ("width", "height", "pixel_format") if getattr(truth, name)]
        stated = ("color", "full_range", "light")
        names += [name for name in stated if getattr(truth, name) is not None]
    for name in names:
        if getattr(found, name) != getattr(truth, name):
            yield f"{name}: {getattr(found, name)}, not {getattr(truth, name)}"
    if truth.frames is not None and not _same_shape(found, truth):
        yield f"pixel_aspect: {found.pixel_aspect}, not {truth.pixel_aspect}"
    if truth.mastering is not None and not _same_display(found.mastering, truth.mastering):
        yield f"mastering: {found.mastering}, not {truth.mastering}"
    if truth.start_s is not None and abs(found.start_s - truth.start_s) > tick_s:
        yield f"start_s: {found.start_s}, not {truth.start_s}"
    if truth.times_s is not None and not truth.clockless:
        yield from _different_times(found.times_s, truth.times_s, tick_s)
    if sorted(found.attachments) != sorted(truth.attachments):
        yield f"attachments: {found.attachments}, not {truth.attachments}"
    sounds = truth.audio
    if truth.clockless:
        sounds = tuple(replace(sound, start_s=None, duration_s=None) for sound in sounds)
    for kind, mine, stated, same in (
        ("audio", found.audio, sounds, _same_sound),
        ("subtitles", found.subtitles, truth.subtitles, _same_text),
        ("chapters", found.chapters, truth.chapters, _same_chapter),
    ):
        if len(mine) != len(stated):
            yield f"{kind}: {len(mine)} of them, not {len(stated)}: {mine}"
        for a, b in zip(mine, stated, strict=False):
            if not same(a, b):
                yield f"{kind}: {a}, not {b}"


def _same_shape(found: Reading, truth: Truth) -> bool:
    """To a pixel of the smaller side: Matroska has the display size in whole pixels."""
    mine, stated = (a / b for a, b in (found.pixel_aspect, truth.pixel_aspect))
    return abs(mine / stated - 1) * min(found.width, found.height) <= 1


def _same_display(found: tuple[float, ...], stated: tuple[float, ...]) -> bool:
    """To the steps in which AV1 codes them: docs/manifest.md, `mastering_display`."""
    steps = (*[0.00005] * 8, 0.0002, 0.01)
    return len(found) == len(stated) and all(
        abs(a - b) <= step for a, b, step in zip(found, stated, steps, strict=True)
    )


def _different_times(
    found: tuple[float, ...], stated: tuple[float, ...], tick_s: float
) -> Iterator[str]:
    for frame, (a, b) in enumerate(zip(found, stated, strict=False)):
        if abs(a - b) > tick_s:
            yield f"times_s: frame {frame} at {a:.6f}, not at {b:.6f}"
            return


def _same_sound(found: Sound, stated: Sound) -> bool:
    same = all(
        getattr(found, name) == getattr(stated, name)
        for name in ("codec", "channels", "rate", "dispositions")
    )
    same &= _language(found) == _language(stated) and stated.layout in (None, found.layout)
    same &= _same_tones(found.tones_hz or (), stated.tones_hz)
    same &= _near(found.start_s, stated.start_s, SOUND_START_S)
    return same and _near(found.duration_s, stated.duration_s, SOUND_LENGTH_S)


def _same_tones(found: tuple[int, ...], stated: tuple[int, ...] | None) -> bool:
    if stated is None:
        return True
    pairs = zip(found, stated, strict=True) if len(found) == len(stated) else [(0, 1)]
    return all(abs(a - b) <= TONE_HZ and bool(a) == bool(b) for a, b in pairs)


def _same_text(found: Text, stated: Text) -> bool:
    same = (found.codec, found.dispositions) == (stated.codec, stated.dispositions)
    return same and _language(found) == _language(stated) and stated.cues in (None, found.cues)


def _same_chapter(found: Chapter, stated: Chapter) -> bool:
    same = found.title == stated.title and _near(found.start_s, stated.start_s, CHAPTER_S)
    return same and _near(found.end_s, stated.end_s, CHAPTER_S)


def _language(track: Sound | Text) -> str:
    return "" if track.language == "und" else track.language


def _near(found: float | None, stated: float | None, tolerance_s: float) -> bool:
    return stated is None or (found is not None and abs(found - stated) <= tolerance_s)
