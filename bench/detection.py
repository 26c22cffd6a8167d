"""The whole detection pass against decoding alone, PySceneDetect and filters of ffmpeg.

    python bench/detection.py CLIP… [--size 1920x1080] [--seconds 30] [--runs 3] [--device cpu]

Composes one film with cuts from the given clips (H.264), and goes through it in turn (A B A B …)
with:

- *decode*: PyAV's threaded decoding of every frame, and nothing else;
- *numpy*, *torch*: Drapto's detection pass (cuts, crop, interlacing, grain, complexity, black
  frames and flashes) with that backend, decoding included; *torch* on the device of `--device`, and
  with its decoder if it has one. While that runs on `--device cuda`, `nvidia-smi dmon -s u` shows
  in the column `dec` how busy the decoder is; the bench prints the highest value it sees;
- *content*, *adaptive*: PySceneDetect's detectors with their defaults: cuts alone;
- *filters*: `ffmpeg -vf scdet,cropdetect,idet`: cuts, crop and interlacing.

Each arm runs in a process of its own. What is timed begins when everything is imported and the
file's frame index is known, and ends with the last frame. Ratios are against *decode* of the same
round. CPU time is that of all threads: beside other work it says more than wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg

sys.path.insert(0, str(Path(__file__).resolve().parent))
from _compose import compose
from _pairs import machine, spread

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
FILTERS = "scdet,cropdetect,idet"

Pass = Callable[[Path], int]  # through the whole film; returns its frames


@dataclass(frozen=True)
class Took:
    frames: int
    wall_s: float
    cpu_s: float


def decode(film: Path) -> int:
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return sum(1 for _ in container.decode(stream))


def filters(film: Path) -> int:
    command = [str(FFMPEG), "-nostdin", "-v", "error", "-stats", "-i", str(film), "-an"]
    said = subprocess.run(
        [*command, "-vf", FILTERS, "-f", "null", "-"], check=True, capture_output=True, text=True
    )
    return int(said.stderr.rpartition("frame=")[2].split()[0])


def peer(kind: str) -> Pass:
    import scenedetect
    from scenedetect.detectors import AdaptiveDetector, ContentDetector

    def run(film: Path) -> int:
        manager = scenedetect.SceneManager()
        manager.add_detector(AdaptiveDetector() if kind == "adaptive" else ContentDetector())
        return int(manager.detect_scenes(scenedetect.open_video(str(film), backend="pyav")))

    return run


def ours(film: Path, device: str | None) -> Pass:
    """`device` None: NumPy. The torch CPU backend gets frames that are decoded as NumPy's are."""
    importlib.import_module("cv2")  # before the clock starts, as everything is

    from drapto.core.device import Device
    from drapto.core.job import EncodeOptions
    from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
    from drapto.infrastructure.ffmpeg.reader import PyAvReader
    from drapto.infrastructure.gpu.features import TorchBackend
    from drapto.infrastructure.gpu.luma import DeviceLumaReader
    from drapto.services.detection.features import NumpyBackend
    from drapto.services.detection.service import StreamingDetection

    async def opened():
        reader = PyAvReader()
        media = await reader.probe(film)
        return await reader.open_video(media, reader.main_video(media), film.parent)

    video = asyncio.run(opened())
    if device is None:
        detection = StreamingDetection(PyAvLumaReader(), NumpyBackend())
    else:
        import torch

        torch.zeros(1, device=device)
        backend = TorchBackend(device, host=NumpyBackend(), on_fallback=_complain)
        reader = PyAvLumaReader()
        if device != "cpu":
            named = device if ":" in device else f"{device}:0"
            reader = DeviceLumaReader(Device(name=named, why="asked"), on_fallback=_complain)
        detection = StreamingDetection(reader, backend)

    def run(_film: Path) -> int:
        found = asyncio.run(detection.analyze(video, EncodeOptions(), lambda _done: None))
        return found.decoded_frames

    return run


def _complain(why: str) -> None:
    print(f"the device was left: {why}", file=sys.stderr)


def pass_named(name: str, film: Path, device: str) -> Pass:
    if name == "decode":
        return decode
    if name == "filters":
        return filters
    if name in ("content", "adaptive"):
        return peer(name)
    return ours(film, device if name == "torch" else None)


def time_here(name: str, film: Path, device: str) -> Took:
    run = pass_named(name, film, device)
    wall, cpu = time.perf_counter(), _cpu_s()
    frames = run(film)
    return Took(frames, time.perf_counter() - wall, _cpu_s() - cpu)


def _cpu_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in both)


def time_apart(name: str, film: Path, device: str) -> Took:
    command = [sys.executable, __file__, str(film), "--only", name, "--device", device]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Took(**json.loads(said.stdout))


@contextmanager
def decoder_use(device: str) -> Iterator[list[int]]:
    """Percent of the decoder's time, once a second, while the block runs; nothing on the CPU."""
    seen: list[int] = []
    if device == "cpu":
        yield seen
        return
    watch = subprocess.Popen(["nvidia-smi", "dmon", "-s", "u"], stdout=subprocess.PIPE, text=True)
    yield seen
    watch.terminate()
    for line in watch.communicate()[0].splitlines():
        if not line.startswith("#"):
            seen.append(int(line.split()[4]))  # gpu sm mem enc dec …


def main() -> None:
    options = _arguments()
    if options.only:
        print(json.dumps(asdict(time_here(options.only, options.clips[0], options.device))))
        return
    arms = ["decode", "numpy", "torch", "content", "adaptive", "filters"]
    arms = [arm for arm in arms if arm not in options.without]
    print(json.dumps(machine()))
    with tempfile.TemporaryDirectory(prefix="drapto-bench-", dir=options.work_dir) as folder:
        film = compose(
            FFMPEG, options.clips, Path(folder, "film.mkv"),
            size=options.size, rate=Fraction(24), length_s=options.seconds,
        )  # fmt: skip
        print(f"{film.frames} frames, {film.shots} shots of {film.sources} sources, {options.size}")
        took: dict[str, list[Took]] = {arm: [] for arm in arms}
        with decoder_use(options.device) as busy:
            for _ in range(options.runs):
                for arm in arms:
                    took[arm].append(time_apart(arm, film.path, options.device))
    _print(took)
    if busy:
        print(f"decoder of the device: at most {max(busy)} % busy")


def _print(took: dict[str, list[Took]]) -> None:
    print("\narm       frames/s   wall / decode           CPU / decode")
    for arm, runs in took.items():
        paired = list(zip(runs, took["decode"], strict=True))
        fps = spread([run.frames / run.wall_s for run in runs])
        wall = spread([run.wall_s / base.wall_s for run, base in paired])
        cpu = spread([run.cpu_s / base.cpu_s for run, base in paired])
        print(f"{arm:9} {fps.median:8.1f}   {wall}   {cpu}")


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--size", type=_size, default=(1920, 1080))
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="of the torch arm: cpu or cuda[:N]")
    parser.add_argument("--without", nargs="*", default=[], help="arms to leave out")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--work-dir", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
