"""Cut detection against PySceneDetect: F1 and time, on films with known cuts.

    python bench/cuts.py CLIP... [--seeds 101 102 103] [--shots 40] [--best-peer]

Films are composed here. Sub-clips of 1 to 3 s are taken from the inside of shots of the given
clips (without clips: of moving test pictures that ffmpeg generates), shuffled by the seed, and
joined by hard cuts, dissolves and fades through black. Flashes of 1 to 3 frames, strobes, dips
to black and fast pans are put inside sub-clips.

Ground truth: the hard joins, first frame after the cut, tolerance +-1 frame. The clips' own cuts
must not disturb it: a clip is first split wherever two neighbouring frames differ by more than
20 code values on average (its own hard cuts differ by 50 and more on the clips this was tried
with, its fastest motion by 16), and two sub-clips of one shot are never joined. A dissolve or a
fade through black is a matter of taste: one detection inside it is neither right nor wrong,
every further one is wrong. Every other detection is wrong.

Time is wall and CPU time of the whole call on the file, decoding included. Ours is the frame
index and the whole detection pass (crop, interlacing, grain and complexity too); the peers do
cuts alone, with PyAV's threaded decoding, or OpenCV's if it is faster. Thresholds of cuts.py
were set on other seeds (below 100) than the ones reported here, and the peers run with their
defaults; `--best-peer` also gives each peer the threshold that is best for it on these films.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint8]  # (n, height, width, 3), BGR

WIDTH, HEIGHT = 320, 180  # composed at this size, written at twice of it
FPS = 24
SHOT_STEP = 20.0
MIN_SHOT = 36
GENERATED = (
    "mandelbrot=s=320x180:r=24:start_scale=0.02",
    "testsrc2=s=320x180:r=24",
    "life=s=320x180:r=24:mold=10:ratio=0.1:death_color=#203050:life_color=#a0c060:seed=7",
    "gradients=s=320x180:r=24:speed=0.02:seed=5:nb_colors=6",
    "gradients=s=320x180:r=24:speed=0.01:seed=11:nb_colors=3,noise=alls=12:allf=t",
    "cellauto=s=320x180:r=24:rule=110:seed=3",
    "smptehdbars=s=480x270:r=24,rotate=0.3*t:c=gray,crop=320:180",
    "sierpinski=s=320x180:r=24:seed=2",
)


@dataclass
class Film:
    frames: list[Frames] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)  # dissolves, fades: at most one

    def __len__(self) -> int:
        return sum(len(part) for part in self.frames)


@dataclass
class Score:
    right: int = 0
    wrong: int = 0
    missed: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)

    def add(self, other: Score) -> None:
        for name in ("right", "wrong", "missed", "wall_s", "cpu_s"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


# --- material -----------------------------------------------------------------------------


def read_clip(path: Path, limit: int = 900) -> Frames:
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            picture = frame.to_ndarray(format="bgr24")
            frames.append(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))
            if len(frames) == limit:
                break
    return np.stack(frames).astype(np.uint8)


def generate(directory: Path) -> Iterator[Path]:
    for number, graph in enumerate(GENERATED):
        path = directory / f"generated{number}.mkv"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-f", "lavfi"]
        command += ["-i", graph, "-t", "6", "-c:v", "ffv1", str(path)]
        subprocess.run(command, check=True)
        yield path


def shots_of(clip: Frames) -> list[Frames]:
    steps = [float(cv2.norm(a, b, cv2.NORM_L1)) / a.size for a, b in pairwise(clip)]
    bounds = [0, *(i + 1 for i, step in enumerate(steps) if step > SHOT_STEP), len(clip)]
    ranges = pairwise(bounds)
    return [clip[a:b] for a, b in ranges if b - a >= MIN_SHOT and clip[a:b].std() > 4]


# --- composing ----------------------------------------------------------------------------


def lighten(frames: Frames, gain: npt.NDArray[np.float64]) -> Frames:
    """Blend each frame towards white (gain > 0) or black (gain < 0)."""
    target = np.where(gain > 0, 245.0, 0.0)[:, None, None, None]
    weight = np.abs(gain)[:, None, None, None]
    return (frames * (1 - weight) + target * weight).astype(np.uint8)


def fast_pan(frames: Frames, at: int, length: int, rng: np.random.Generator) -> Frames:
    """Sweep over an enlarged still for `length` frames, with motion blur, then rest there."""
    still = cv2.resize(frames[at], (WIDTH * 3, HEIGHT * 3 // 2))
    step = int(rng.integers(WIDTH // 12, WIDTH // 5))
    y = int(rng.integers(0, HEIGHT // 2))
    out = frames.copy()
    for i in range(at, len(frames)):
        x = min(step * min(i - at, length), WIDTH * 2)
        window = still[y : y + HEIGHT, x : x + WIDTH]
        moving = i - at < length and x < WIDTH * 2
        out[i] = cv2.blur(window, (step // 2, 1)) if moving else window
    return out


def disturb(frames: Frames, rng: np.random.Generator) -> Frames:
    """One event in the middle of a sub-clip, or none."""
    kind = rng.choice(
        ["none", "flash", "strobe", "pan", "dip", "lights"], p=[0.3, 0.2, 0.1, 0.2, 0.1, 0.1]
    )
    at, gain = len(frames) // 3, np.zeros(len(frames))
    if kind == "flash":
        length = int(rng.integers(1, 4))
        gain[at : at + length] = rng.uniform(0.4, 1.0, length)
    elif kind == "strobe":
        for start in range(at, min(at + 12, len(frames) - 3), 4):
            gain[start : start + 2] = rng.uniform(0.4, 0.9)
    elif kind == "dip":
        half = 5
        gain[at : at + half] = -np.linspace(0.2, 1, half)
        gain[at + half : at + 2 * half] = -np.linspace(1, 0.2, half)
    elif kind == "lights":
        gain[at:] = rng.uniform(-0.6, 0.4)
    elif kind == "pan":
        # The still begins with another framing: the pan has to start where the shot is cut.
        return fast_pan(frames, 0, int(rng.integers(8, 20)), rng)
    return lighten(frames, gain)


def join(
    film: Film, before: Frames, after: Frames, rng: np.random.Generator
) -> tuple[Frames, Frames]:
    """Alter the end of `before` and the beginning of `after`; note the truth in `film`."""
    kind = rng.choice(["cut", "flash cut", "dissolve", "fade"], p=[0.64, 0.06, 0.15, 0.15])
    here = len(film) + len(before)
    if kind == "dissolve":
        length = int(rng.integers(8, 20))
        weight = np.linspace(0, 1, length + 2)[1:-1, None, None, None]
        mixed = before[-length:] * (1 - weight) + after[:length] * weight
        film.spans.append((here - length - 1, here + 1))
        return np.concatenate([before[:-length], mixed.astype(np.uint8)]), after[length:]
    if kind == "fade":
        out, black = int(rng.integers(6, 14)), int(rng.integers(0, 8))
        ramp = np.linspace(0, 1, out + 1)[1:]
        gain = np.zeros(len(before))
        gain[-out:] = -ramp
        film.spans.append((here - out, here + black + out))
        gain_in = np.zeros(len(after))
        gain_in[:out] = -ramp[::-1]
        dark = np.zeros((black, *before.shape[1:]), np.uint8)
        return np.concatenate([lighten(before, gain), dark]), lighten(after, gain_in)
    film.cuts.append(here)
    if kind == "flash cut":
        gain = np.zeros(len(after))
        gain[:3] = 0.8, 0.5, 0.2
        after = lighten(after, gain)
    return before, after


def compose(shots: list[Frames], count: int, seed: int) -> Film:
    rng = np.random.default_rng(seed)
    film = Film()
    pending: Frames | None = None
    last = -1
    for _ in range(count):
        choice = int(rng.choice([i for i in range(len(shots)) if i != last]))
        last, shot = choice, shots[choice]
        length = int(rng.integers(MIN_SHOT, min(len(shot), 72) + 1))
        start = int(rng.integers(0, len(shot) - length + 1))
        part = disturb(shot[start : start + length], rng)
        if pending is not None:
            pending, part = join(film, pending, part, rng)
            film.frames.append(pending)
        pending = part
    assert pending is not None
    film.frames.append(pending)
    return film


def write(film: Film, path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH * 2, HEIGHT * 2, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "23"}
        for part in film.frames:
            for picture in part:
                large = cv2.resize(picture, (WIDTH * 2, HEIGHT * 2))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(large, format="bgr24")))
        container.mux(stream.encode(None))


# --- judging ------------------------------------------------------------------------------


def judge(film: Film, found: list[int]) -> Score:
    score, open_cuts, spent = Score(), set(film.cuts), set()
    for frame in found:
        near = [cut for cut in open_cuts if abs(cut - frame) <= 1]
        span = next((s for s in film.spans if s[0] <= frame <= s[1]), None)
        if near:
            open_cuts.discard(min(near, key=lambda cut: abs(cut - frame)))
            score.right += 1
        elif span is not None and span not in spent:
            spent.add(span)
        else:
            score.wrong += 1
    score.missed = len(open_cuts)
    return score


def ours(path: Path) -> list[int]:
    from drapto.core.job import EncodeOptions
    from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
    from drapto.infrastructure.ffmpeg.reader import PyAvReader
    from drapto.services.detection.features import NumpyBackend
    from drapto.services.detection.service import StreamingDetection

    async def run() -> list[int]:
        reader = PyAvReader()
        media = await reader.probe(path)
        video = await reader.open_video(media, reader.main_video(media), path.parent)
        detection = StreamingDetection(PyAvLumaReader(), NumpyBackend())
        return list((await detection.analyze(video, EncodeOptions(), lambda done: None)).cuts)

    return asyncio.run(run())


def peer(kind: str, threshold: float | None, backend: str) -> Callable[[Path], list[int]]:
    import scenedetect
    from scenedetect.detectors import AdaptiveDetector, ContentDetector

    def run(path: Path) -> list[int]:
        if kind == "content":
            detector = ContentDetector() if threshold is None else ContentDetector(threshold)
        else:
            detector = AdaptiveDetector() if threshold is None else AdaptiveDetector(threshold)
        video = scenedetect.open_video(str(path), backend=backend)
        manager = scenedetect.SceneManager()
        manager.add_detector(detector)
        manager.detect_scenes(video)
        return [start.frame_num for start, _ in manager.get_scene_list()[1:]]

    return run


def measure(film: Film, path: Path, detect: Callable[[Path], list[int]], verbose: bool) -> Score:
    wall, cpu = time.perf_counter(), time.process_time()
    found = detect(path)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    score = judge(film, found)
    score.wall_s, score.cpu_s = wall, cpu
    if verbose:
        print("   cuts", film.cuts, "\n  spans", film.spans, "\n  found", found)
    return score


def main() -> None:
    av.logging.set_level(av.logging.ERROR)
    parser = argparse.ArgumentParser(description="Cut detection against PySceneDetect.")
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--seeds", nargs="*", type=int, default=[101, 102, 103, 104])
    parser.add_argument("--shots", type=int, default=40, help="sub-clips per film")
    parser.add_argument("--best-peer", action="store_true")
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    detectors: dict[str, Callable[[Path], list[int]]] = {"drapto (all features)": ours}
    if not options.only_ours:
        for kind in ("content", "adaptive"):
            for backend in ("pyav", "opencv"):
                detectors[f"{kind}, {backend}"] = peer(kind, None, backend)
        if options.best_peer:
            for threshold in (15, 20, 35, 45):
                detectors[f"content at {threshold}"] = peer("content", threshold, "pyav")
            for threshold in (2, 4, 5, 7):
                detectors[f"adaptive at {threshold}"] = peer("adaptive", threshold, "pyav")
    scores = {name: Score() for name in detectors}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        clips = options.clips or list(generate(directory))
        shots = [shot for clip in clips for shot in shots_of(read_clip(clip))]
        if len(shots) < 2:
            sys.exit("The clips hold fewer than two shots of 1.5 s.")
        for seed in options.seeds:
            film = compose(shots, options.shots, seed)
            path = directory / f"film{seed}.mkv"
            write(film, path)
            print(f"seed {seed}: {len(film)} frames, {len(film.cuts)} cuts, {len(shots)} shots")
            for label, detect in detectors.items():
                scores[label].add(measure(film, path, detect, options.verbose))
            path.unlink()
    base = scores["drapto (all features)"]
    print(f"{'':24}   F1  right wrong missed   wall s  (ratio)   CPU s  (ratio)")
    for label, s in scores.items():
        print(
            f"{label:24} {s.f1:.3f} {s.right:5} {s.wrong:5} {s.missed:6} "
            f"{s.wall_s:8.2f} ({s.wall_s / base.wall_s:5.2f}) "
            f"{s.cpu_s:8.2f} ({s.cpu_s / base.cpu_s:5.2f})"
        )


if __name__ == "__main__":
    main()
