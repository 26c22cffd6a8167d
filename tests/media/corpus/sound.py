"""Audio codecs, layouts, rates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.media.clips import ffmpeg, pattern, x264
from tests.media.corpus.entry import Entry, Sound, Truth, even

FRAMES, RATE = 24, 24
DEFAULT = frozenset({"default"})
PICTURE = Truth("", frames=FRAMES, times_s=even(FRAMES, RATE), width=96, height=64)
"""What is true of the picture of every entry here."""


def heard(
    layout: str, channels: int, rate: int = 48_000, silent: tuple[int, ...] = ()
) -> list[str]:
    """Input arguments: 1 s with another tone in every channel; some channels may be silent."""
    formula = "|".join(f"0.2*sin(2*PI*{hz}*t)" for hz in _tones_hz(channels, silent))
    return ["-f", "lavfi", "-i", f"aevalsrc='{formula}':s={rate}:d=1:c={layout}"]


def _tones_hz(channels: int, silent: tuple[int, ...] = ()) -> tuple[int, ...]:
    """By channel; the fourth of six or eight is the one for low frequencies, and has no others."""
    low = 3 if channels > 4 else None
    tones = (60 if channel == low else 220 * (channel + 2) for channel in range(channels))
    return tuple(0 if channel in silent else hz for channel, hz in enumerate(tones))


def _entry(
    name: str,
    what: str,
    options: str,
    sound: Sound,
    *,
    suffix: str = ".mkv",
    silent: tuple[int, ...] = (),
    as_made: str = "",
    named: frozenset[str] = frozenset(),
    mp4: bool = False,
    webm: bool = False,
) -> Entry:
    """`as_made`: the layout given to the encoder, where the file has another."""

    def make(directory: Path) -> Path:
        out = directory / f"{name}{suffix}"
        source = heard(as_made or sound.layout or "", sound.channels, sound.rate, silent)
        video = ("-c:v", "libvpx", "-b:v", "100k") if suffix == ".webm" else x264()
        marks = ("-disposition:a:0", "default")
        ffmpeg(*pattern(FRAMES, size="96x64"), *source, *video, *options.split(), *marks, out)
        return out

    codec = "vp8" if suffix == ".webm" else "h264"
    tones_hz = _tones_hz(sound.channels, silent) if sound.channels > 2 else None
    sound = replace(sound, duration_s=1.0, dispositions=DEFAULT, tones_hz=tones_hz)
    truth = replace(PICTURE, what=what, video_codec=codec, audio=(sound,), named=named)
    return Entry(f"sound_{name}", make, truth, mp4=mp4, webm=webm)


def twelve_tracks(directory: Path) -> Path:
    """Six stereo, six mono, in turn; every one in another language, each with a title."""
    out = directory / "twelve.mkv"
    arguments: list[str] = []
    for number, language in enumerate(LANGUAGES):
        arguments += ["-map", f"{1 + number % 2}:a"]
        arguments += [f"-metadata:s:a:{number}", f"language={language}"]
        arguments += [f"-metadata:s:a:{number}", f"title=Track {number + 1}"]
        arguments += [f"-disposition:a:{number}", "default" if number == 3 else "0"]
    inputs = [*pattern(FRAMES, size="96x64"), *heard("stereo", 2), *heard("mono", 1)]
    ffmpeg(*inputs, "-map", "0:v", *arguments, *x264(), "-c:a", "aac", "-b:a", "48k", out)
    return out


LANGUAGES = ("eng", "ger", "fre", "spa", "ita", "jpn", "kor", "chi", "rus", "ara", "heb", "und")

ENTRIES: tuple[Entry, ...] = (
    _entry(
        "8_khz_mono_pcm",
        "Telephone sound: 8 kHz, one channel, 16-bit PCM.",
        "-c:a pcm_s16le",
        Sound("pcm_s16le", 1, "1 channels", 8_000),
        as_made="mono",
        mp4=True,
        webm=True,
    ),
    _entry(
        "96_khz_flac",
        "96 kHz in FLAC, which Opus has not.",
        "-c:a flac",
        Sound("flac", 2, "stereo", 96_000),
    ),
    _entry(
        "mp3_stereo",
        "MP3 at 44.1 kHz, with its encoder's delay.",
        "-c:a libmp3lame",
        Sound("mp3", 2, "stereo", 44_100),
    ),
    _entry(
        "aac_mono_mp4",
        "AAC with priming samples that an edit list hides.",
        "-c:a aac",
        Sound("aac", 1, "mono"),
        suffix=".mp4",
        mp4=True,
    ),
    _entry(
        "aac_5_1",
        "Six channels of AAC, the surround ones at the back.",
        "-c:a aac",
        Sound("aac", 6, "5.1"),
        mp4=True,
        webm=True,
    ),
    _entry(
        "ac3_5_1_side",
        "AC-3, whose surround channels stand at the sides.",
        "-c:a ac3",
        Sound("ac3", 6, "5.1(side)"),
        mp4=True,
    ),
    _entry(
        "eac3_5_1_side",
        "E-AC-3 at 5.1(side).",
        "-c:a eac3",
        Sound("eac3", 6, "5.1(side)"),
        webm=True,
    ),
    _entry(
        "dts_5_1_side",
        "DTS at 5.1(side).",
        "-c:a dca -strict -2",
        Sound("dts", 6, "5.1(side)"),
    ),
    _entry(
        "truehd_5_1",
        "TrueHD: lossless, in packets of less than a millisecond.",
        "-c:a truehd -strict -2",
        Sound("truehd", 6, "5.1(side)"),
        as_made="5.1",
    ),
    _entry(
        "flac_7_1",
        "Eight channels of FLAC.",
        "-c:a flac",
        Sound("flac", 8, "7.1"),
        mp4=True,
    ),
    _entry(
        "mono_in_5_1",
        "Six channels of which only the centre is heard.",
        "-c:a ac3",
        Sound("ac3", 6, "5.1(side)"),
        silent=(0, 1, 3, 4, 5),
    ),
    _entry(
        "opus_5_1",
        "Opus already, in six channels.",
        "-c:a libopus -mapping_family 1 -b:a 128k",
        Sound("opus", 6, "5.1"),
        webm=True,
    ),
    _entry(
        "vorbis_webm",
        "VP8 and Vorbis, as WebM began.",
        "-c:a libvorbis",
        Sound("vorbis", 2, "stereo"),
        suffix=".webm",
        webm=True,
    ),
    _entry(
        "pcm_24_mov",
        "24-bit PCM in QuickTime, as cameras write it.",
        "-c:a pcm_s24le",
        Sound("pcm_s24le", 2, "stereo"),
        suffix=".mov",
    ),
    Entry(
        "sound_12_tracks",
        twelve_tracks,
        replace(
            PICTURE,
            what="Twelve audio tracks, each in a language of its own, the fourth the default.",
            audio=tuple(
                Sound(
                    "aac",
                    channels=2 - number % 2,
                    language=language,
                    duration_s=1.0,
                    dispositions=DEFAULT if number == 3 else frozenset(),
                )
                for number, language in enumerate(LANGUAGES)
            ),
        ),
        mp4=True,
    ),
)  # fmt: skip
