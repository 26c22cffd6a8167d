"""The short film that every fault is tried on, and the proof that an output shows all of it."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from tests.end_to_end.disturbing import contents, encode
from tests.media import clips

SCENES: tuple[clips.Scene, ...] = (
    ("testsrc2", 30),
    ("mandelbrot=start_scale=0.5:end_pts=300", 30),
    ("smptehdbars", 26),
    ("testsrc", 24),
)
"""Four segments, the first two with as many frames each: they can be taken for each other."""

OFF_MOST = (
    6.0  # of 255, at 32x18: at CRF 50 a picture is off by 0.4 to 2.2, one of another scene by 70
)

Frames = list[tuple[int, str]]


@dataclass(frozen=True)
class Film:
    """`frames` and `streams` are what an undisturbed encode makes of `path`: (time in ms, MD5 of
    the picture) by frame, and a hash of every stream's packets. It took `took_s`."""

    path: Path
    digest: str
    times_ms: tuple[int, ...]
    frames: Frames
    streams: str
    looks: npt.NDArray[np.int16]  # of the source
    own_sound: list[str]  # of the source: what cannot be encoded is copied, and that is said
    took_s: float


def make_film(folder: Path) -> Film:
    path = clips.with_cuts(folder, SCENES, size="160x90", name="in.mkv")[0]
    output = folder / "undisturbed.mkv"
    started_s = time.monotonic()
    ended = encode(path, output)
    took_s = time.monotonic() - started_s
    assert ended.code == 0, ended.stderr
    times_ms = tuple(pts for pts, _ in clips.decoded_frames(path))
    film = Film(
        path=path,
        digest=digest_of(path),
        times_ms=times_ms,
        frames=clips.decoded_frames(output),
        streams=contents(output),
        looks=looks_of(path),
        own_sound=sound_of(contents(path)),
        took_s=took_s,
    )
    assert _other_picture(output, film) is None
    problem = fault_of(output, film)
    assert problem is None, problem
    return film


def digest_of(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def fault_of(output: Path, film: Film) -> str | None:
    """None if `output` shows every frame of the film at its time, each as it has to look, and
    holds every packet of the other tracks; otherwise what is wrong."""
    try:
        frames = clips.decoded_frames(output)
        streams = contents(output)
    except Exception as error:
        return f"the output cannot be read: {error}"
    if len(frames) != len(film.times_ms):
        return f"the output has {len(frames)} frames, the source {len(film.times_ms)}"
    first, began = frames[0][0], film.times_ms[0]
    for number, ((shown, _), due) in enumerate(zip(frames, film.times_ms, strict=True)):
        if shown - first != due - began:
            return f"frame {number} is shown at {shown - first} ms instead of {due - began} ms"
    if frames != film.frames and (problem := _other_picture(output, film)):
        return problem
    if sound_of(streams) not in (sound_of(film.streams), film.own_sound):
        return "the sound is neither that of an undisturbed encode nor that of the source"
    return None


def _other_picture(output: Path, film: Film) -> str | None:
    """Encoded in another way, by the legacy scripts: then each picture has to look like its own."""
    looks = looks_of(output)
    for number, (found, due) in enumerate(zip(looks, film.looks, strict=True)):
        off = float(np.abs(found - due).mean())
        if off > OFF_MOST:
            return f"frame {number} is another picture: on average {off:.1f} of 255 off"
    return None


def looks_of(path: Path) -> npt.NDArray[np.int16]:
    """Every frame, small and grey: (frames, 18, 32), in the order in which they are shown."""
    argv = [str(find_ffmpeg()), "-nostdin", "-v", "error", "-i", str(path), "-map", "0:v:0"]
    argv += ["-fps_mode", "passthrough", "-vf", "scale=32:18:flags=area,format=gray"]
    done = subprocess.run([*argv, "-f", "rawvideo", "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, 18, 32).astype(np.int16)


def sound_of(streams: str) -> list[str]:
    """The lines of `contents` that are about sound, without the numbers of the streams."""
    return [line.split(",", 1)[1] for line in streams.splitlines() if ",a," in line]
