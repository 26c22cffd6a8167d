"""VMAF in torch against libvmaf: how far apart their scores are, and what each takes.

    pip install torch==2.13.0 vmaf-torch==1.1.0
    python bench/torch_vmaf.py CLIP… [--clips 10] [--frames 24] [--device cpu] [--neg]

Takes stretches of the given clips, evenly spread, brings them to heights from 360 to 1080 lines in
turn, and encodes each at three qualities, with SVT-AV1 and x264 in turn. Every encode is measured
twice, by the libvmaf in ffmpeg and by `TorchVmaf`, both of the same 8-bit pictures. Printed for
each: the mean of libvmaf, how far the mean in torch is off, how far the worst frame is, and the CPU
time that each takes for a frame. libvmaf and torch get one thread each; the CPU time of libvmaf
includes reading both files, lossless ones. With `--device cuda` the time is that of the wall, from
decoded bytes in memory to scores. Exit code 1 if a mean is off by more than 0.1.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
from _pairs import machine, measure

from drapto.core.quality import Measuring
from drapto.infrastructure.ffmpeg.metrics import MODEL, metric_for
from drapto.infrastructure.gpu.metric_vmaf import OFF, TorchVmaf

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
HEIGHTS = (360, 480, 720, 1080)
QUALITIES = {"libsvtav1": (25, 40, 55), "libx264": (20, 28, 36)}
BATCH_PIXELS = 8 << 20  # four frames of 1080p: more are not quicker on a CPU

Luma = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Compared:
    libvmaf: float
    off: float  # the mean in torch, less that of libvmaf
    worst: float  # frame
    libvmaf_s: float  # for a frame
    torch_s: float


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    print(machine(), f"torch {torch.__version__}, device {options.device}")
    print("| clip | height | encoder | libvmaf | torch - libvmaf | worst frame | ms | torch ms |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    means = []
    with tempfile.TemporaryDirectory(prefix="torch-vmaf-") as scratch:
        for number, (clip, start_s) in enumerate(_stretches(options.clip, options.clips)):
            height = HEIGHTS[number % len(HEIGHTS)]
            encoder = list(QUALITIES)[number % len(QUALITIES)]
            original = _stretch(clip, start_s, height, options.frames, Path(scratch))
            found = [
                _compare(original, _encoded(original, encoder, crf), height, options)
                for crf in QUALITIES[encoder]
            ]
            for crf, one in zip(QUALITIES[encoder], found, strict=True):
                print(
                    f"| {clip.stem} {start_s:.1f} s | {height} | {encoder} {crf} |"
                    f" {one.libvmaf:.2f} | {one.off:+.4f} | {one.worst:.4f} |"
                    f" {one.libvmaf_s * 1000:.0f} | {one.torch_s * 1000:.0f} |",
                    flush=True,
                )
            means += found
    furthest = max(abs(one.off) for one in means)
    print(
        f"\nfurthest mean {furthest:.4f}, furthest frame {max(one.worst for one in means):.4f}, "
        f"mean difference {fmean(one.off for one in means):+.4f}, time of torch / libvmaf "
        f"{sum(one.torch_s for one in means) / sum(one.libvmaf_s for one in means):.1f}"
    )
    sys.exit(furthest > OFF)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clip", nargs="+", type=Path)
    parser.add_argument("--clips", type=int, default=10, help="stretches of the given clips")
    parser.add_argument("--frames", type=int, default=24, help="of each stretch")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--neg", action="store_true", help="the NEG model")
    return parser.parse_args()


def _stretches(clips: list[Path], count: int) -> Iterator[tuple[Path, float]]:
    """The clips in turn, each from later on every time."""
    rounds = -(-count // len(clips))
    for number in range(count):
        clip = clips[number % len(clips)]
        _frames, duration_s = imageio_ffmpeg.count_frames_and_secs(str(clip))
        yield clip, duration_s * (number // len(clips) + 0.5) / rounds


def _stretch(clip: Path, start_s: float, height: int, frames: int, scratch: Path) -> Path:
    path = scratch / "original.mkv"
    scaled = f"scale=-2:{height}:flags=lanczos,format=yuv420p"
    _run("-ss", f"{start_s:.3f}", "-i", clip, "-map", "0:v:0", "-frames:v", frames, "-vf", scaled,
         "-c:v", "ffv1", path)  # fmt: skip
    return path


def _encoded(original: Path, encoder: str, crf: int) -> Path:
    """Decoded again, and kept without loss: decoding an encode is not what is timed."""
    encode, path = original.with_name("encode.mkv"), original.with_name("decoded.mkv")
    preset = "8" if encoder == "libsvtav1" else "medium"
    _run("-i", original, "-c:v", encoder, "-preset", preset, "-crf", crf, encode)
    _run("-i", encode, "-pix_fmt", "yuv420p", "-c:v", "ffv1", path)
    return path


def _compare(original: Path, encoded: Path, height: int, options: argparse.Namespace) -> Compared:
    measuring = Measuring(model=MODEL + ("neg" if options.neg else ""))
    log = original.with_name("scores.json")
    graph = metric_for(measuring.metric, neg=options.neg).graph(
        measuring, encoded="[0:v]", original="[1:v]", frame_rate=Fraction(25), log=str(log),
        threads=1,
    )  # fmt: skip
    inputs = ["-i", encoded, "-i", original]
    took = measure([FFMPEG, "-v", "fatal", *inputs, "-lavfi", graph, "-f", "null", "-"])
    wanted = np.asarray(metric_for(measuring.metric).scores(log.read_bytes(), measuring))
    shape = len(wanted), height, -1
    sides = _luma(encoded).reshape(shape), _luma(original).reshape(shape)
    got, torch_s = _in_torch(*sides, measuring, options.device)
    off = np.asarray(got) - wanted
    return Compared(
        libvmaf=float(wanted.mean()),
        off=float(off.mean()),
        worst=float(np.abs(off).max()),
        libvmaf_s=took.cpu_s / len(wanted),
        torch_s=torch_s / len(wanted),
    )


def _in_torch(
    encoded: Luma, original: Luma, measuring: Measuring, device: str
) -> tuple[list[float], float]:
    clock = time.process_time if device == "cpu" else time.perf_counter
    vmaf = TorchVmaf(measuring, device=device)
    batch = max(1, BATCH_PIXELS // original[0].size)
    began = clock()
    for first in range(0, len(original), batch):
        vmaf.add(encoded[first : first + batch], original[first : first + batch])
    return vmaf.scores(), clock() - began


def _luma(path: Path) -> Luma:
    """All of it, in one row."""
    command = [FFMPEG, "-v", "error", "-i", path, "-vf", "extractplanes=y", "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(bytearray(raw), np.uint8)  # writable: torch warns of memory that is not


def _run(*arguments: object) -> None:
    command = [str(FFMPEG), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


if __name__ == "__main__":
    main()
