"""Clips with a beep at a known time, and the means to find it again in a decoded file.

The beep is a 1 kHz tone of 100 ms, at 1 s and at 2 s of the audio's own time.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
from av.subtitles.subtitle import SubtitleSet

from tests.media.clips import ffmpeg, pattern, x264

RATE_HZ = 48_000
BEEPS_S = (1.0, 2.0)
_BEEP = "+".join(f"if(between(t,{at},{at + 0.1}),0.8*sin(2*PI*1000*t),0)" for at in BEEPS_S)
BEEP_SOURCE = ("-f", "lavfi", "-i", f"aevalsrc='{_BEEP}':s={RATE_HZ}:d=3")
SMALL = "128x72"
TONE_RMS = 0.3 / 2**0.5


def beeping(
    directory: Path,
    name: str = "beep.mkv",
    *,
    codec: str = "aac",
    audio_delay_s: float = 0.0,
    video_delay_s: float = 0.0,
    audio_filter: str = "anull",
    audio_bsf: str = "null",
    shift_s: float = 0.0,
) -> Path:
    """3 s of 128x72 video at 24 fps and mono beeps; the container follows from the name."""
    out = directory / name
    picture = ("-itsoffset", str(video_delay_s), *pattern(72, size=SMALL))
    sound = ("-itsoffset", str(audio_delay_s), *BEEP_SOURCE)
    filters = ("-af", audio_filter, "-c:a", codec, "-bsf:a", audio_bsf)
    offset = ("-output_ts_offset", str(shift_s)) if shift_s else ()
    ffmpeg(*picture, *sound, *x264(), *filters, *offset, out)
    return out


def samples(path: Path, track: int = 0) -> npt.NDArray[np.float32]:
    """Audio track `track` as mono samples; sample n is heard at n / 48000 s of the file's clock."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-copyts"]
    argv += ["-i", f"file:{path}", "-map", f"0:a:{track}"]
    argv += ["-af", f"aresample={RATE_HZ}:async=1:min_hard_comp=0.02:first_pts=0"]
    argv += ["-ac", "1", "-f", "f32le", "-"]
    done = subprocess.run(argv, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, np.float32)


def beeps_s(path: Path, track: int = 0) -> list[float]:
    """When the beeps begin, in seconds of the file's own clock."""
    loud = np.flatnonzero(np.abs(samples(path, track)) > 0.1)
    if not len(loud):
        return []
    first = np.concatenate([[True], np.diff(loud) > RATE_HZ // 10])
    return [float(at) / RATE_HZ for at in loud[first]]


def tones(directory: Path, layout: str, frequencies: list[int]) -> Path:
    """One second of a different tone in every channel of `layout`, as a WAV with channel mask."""
    out = directory / "tones.wav"
    channels = "|".join(f"0.3*sin(2*PI*{f}*t)" for f in frequencies)
    source = f"aevalsrc='{channels}':s={RATE_HZ}:d=1:c={layout}"
    ffmpeg("-f", "lavfi", "-i", source, "-c:a", "pcm_s16le", out)
    return out


def loudest_hz(path: Path, channels: int) -> tuple[list[int | None], list[float]]:
    """The strongest frequency and the level (RMS) of each channel; None and 0 in silence."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-i", f"file:{path}"]
    done = subprocess.run([*argv, "-f", "f32le", "-"], capture_output=True, check=True)
    sound = np.frombuffer(done.stdout, np.float32).reshape(-1, channels)[: RATE_HZ // 2]
    found: list[int | None] = []
    levels: list[float] = []
    for channel in sound.T:
        spectrum = np.abs(np.fft.rfft(channel))
        level = float(np.sqrt(np.mean(channel**2)))
        loud = level > 0.01
        found.append(round(float(np.argmax(spectrum)) * RATE_HZ / len(channel)) if loud else None)
        levels.append(level if loud else 0.0)
    return found, levels


def flashing(directory: Path, name: str, *muxing: str) -> Path:
    """3 s of black with a white flash of 100 ms at each beep; `muxing`: options of the output."""
    out = directory / name
    lit = "+".join(f"between(t,{at - 0.001},{at + 0.099})" for at in BEEPS_S)
    picture = ("-f", "lavfi", "-i", f"color=black:s={SMALL}:r=24:d=3")
    flash = ("-vf", f"drawbox=c=white:t=fill:enable='{lit}'")
    ffmpeg(*picture, *BEEP_SOURCE, *flash, *x264(), "-c:a", "aac", *muxing, out)
    return out


def beeps_after_flashes_s(path: Path) -> list[float]:
    """How long after each flash its beep is heard, whatever the clock of the file begins with."""
    flashes: list[float] = []
    heard: list[float] = []
    lit = False
    with av.open(f"file:{path}") as container:
        for frame in container.decode(video=0, audio=0):
            assert not isinstance(frame, SubtitleSet)
            assert frame.time is not None
            if isinstance(frame, av.VideoFrame):
                was_lit, lit = lit, float(frame.to_ndarray(format="gray").mean()) > 128
                if lit and not was_lit:
                    flashes.append(frame.time)
            else:
                level = np.abs(frame.to_ndarray()).max(axis=0)
                for at in np.flatnonzero(level > 0.1):
                    time_s = frame.time + float(at) / frame.sample_rate
                    if not heard or time_s - heard[-1] > 0.5:
                        heard.append(time_s)
    return [beep - flash for flash, beep in zip(flashes, heard, strict=True)]
