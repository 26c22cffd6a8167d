"""`drapto encode --target-vmaf` against other ways of finding a quality, on one film of real clips.

    .venv/bin/python bench/target_quality.py CLIP… [--seconds 100] [--preset 6] [--target 95]

Composes a film with cuts, then lets everybody encode it in turn, each as a process of its own:
Drapto, plain encodes at the CRF that is as good and at the one below, and the strategies of ab-av1
and Av1an (`_search_strategies.py`: small re-implementations with the same encoder and metric).
Afterwards VMAF is measured of every frame of every output, and compared scene by scene.

Prints for each: CPU time against the plain encode, how far the film's VMAF is from the target,
bytes of video against one CRF of the same VMAF (between the two plain encodes, in ln(bytes)), the
worst scene and how many are below the floor, target - 6.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import anyio
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from _compose import compose
from _pairs import Measurement, machine, measure

from drapto.core.manifest import Manifest
from drapto.core.quality import Metric
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.footage import Footage, output_footage
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.pairing import Means, Pair
from drapto.infrastructure.ffmpeg.reader import PyAvReader

ROOT = Path(__file__).resolve().parent.parent
STRATEGIES = {"ab-av1-like": "sample-search", "Av1an-like": "scene-search"}


@dataclass(frozen=True)
class Arm:
    """What one strategy made of the film. `scores` of every frame."""

    used: Measurement
    scores: np.ndarray
    video_bytes: int

    @property
    def vmaf(self) -> float:
        return float(self.scores.mean())


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="drapto-bench-", dir=args.work_dir) as folder:
        work = Path(folder)
        film = compose(
            find_ffmpeg(), args.clips, work / "film.mkv",
            size=args.size, rate=args.rate, length_s=args.seconds,
        )  # fmt: skip
        print(json.dumps(machine()))
        print(f"{film.frames} frames, {film.duration_s:.1f} s, {film.shots} shots of "
              f"{film.sources} clips, {args.size[0]}x{args.size[1]}, preset {args.preset}, "
              f"target {args.target:g}")  # fmt: skip
        arms, scenes = anyio.run(_all, args, film.path, work)
    for line in table(arms, scenes, args.target):
        print(line)


async def _all(
    args: argparse.Namespace, film: Path, work: Path
) -> tuple[dict[str, Arm], list[tuple[int, int]]]:
    video = await _opened(film, work)
    arms: dict[str, Arm] = {}

    async def run(name: str, command: list[str | Path], output: Path) -> None:
        used = await anyio.to_thread.run_sync(lambda: measure(command, output=output))
        arms[name] = await _judged(video, output, used)
        print(f"{name}: {used.wall_s:.0f} s, CPU {used.cpu_s:.0f} s, VMAF {arms[name].vmaf:.2f}",
              flush=True)  # fmt: skip

    def fresh(number: int) -> list[str]:
        """Without the memory of films that were encoded before, this one among them."""
        return ["env", f"XDG_STATE_HOME={work / f'state{number}'}"]

    def strategy(name: str, output: Path, *more: str) -> list[str | Path]:
        script = ROOT / "bench" / "_search_strategies.py"
        return [sys.executable, script, name, film, output, "--target", str(args.target),
                "--preset", str(args.preset), *more]  # fmt: skip

    ours = work / "drapto.mkv"
    for number in range(args.runs):
        await run(
            f"drapto{f' ({number + 1})' if number else ''}",
            [*fresh(number), sys.executable, "-m", "cli.main", "encode", film, ours,
             "--preset", str(args.preset),
             "--target-vmaf", str(args.target), "--audio", "none", "--crop", "off", "--keep-work",
             "--no-resume", "--overwrite", "-q"],
            ours,
        )  # fmt: skip
    manifest = Manifest.from_json((work / ".drapto.mkv.drapto" / "manifest.json").read_text())
    scenes = [(segment.start_frame, segment.end_frame) for segment in manifest.segments]
    assert manifest.quality is not None
    assert manifest.quality.single_crf is not None
    single = round(manifest.quality.single_crf.crf)
    print(f"drapto says: {manifest.quality.film.mean:.2f} by its own measure, one CRF "
          f"{manifest.quality.single_crf.crf:g} would take "
          f"{manifest.quality.single_crf.video_bytes} bytes")  # fmt: skip
    for crf in (single, single - 1, single + 1):
        out = work / f"plain{crf}.mkv"
        await run(f"plain CRF {crf}", strategy("plain", out, "--crf", str(crf)), out)
    one = work / "drapto-crf.mkv"
    await run(
        f"drapto --crf {single}",
        [sys.executable, "-m", "cli.main", "encode", film, one, "--preset", str(args.preset),
         "--crf", str(single), "--audio", "none", "--crop", "off", "-q"],
        one,
    )  # fmt: skip
    for name, of in STRATEGIES.items():
        if name not in args.without:
            out = work / f"{of}.mkv"
            await run(name, strategy(of, out), out)
    return arms, scenes


async def _opened(film: Path, work: Path) -> SourceVideo:
    reader = PyAvReader(find_ffmpeg())
    media = await reader.probe(film)
    return await reader.open_video(media, reader.main_video(media), work)


async def _judged(video: SourceVideo, output: Path, used: Measurement) -> Arm:
    footage = await output_footage(output)
    pair = Pair(Footage.of(video), footage, metric_for(Metric.VMAF))
    means = Means(find_ffmpeg(), output.parent, threads=2)
    scores = await pair.scores(means, pair.measuring(), 0, pair.frames)
    return Arm(used, np.asarray(scores), used.size_bytes)


def table(arms: dict[str, Arm], scenes: list[tuple[int, int]], target: float) -> list[str]:
    plain = [arm for name, arm in arms.items() if name.startswith("plain")]
    baseline = plain[0].used
    lines = [
        "",
        "| | CPU / plain | wall / plain | VMAF | error | bytes / one CRF as good | worst scene "
        "| scenes below floor |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, arm in arms.items():
        means = [float(arm.scores[start:end].mean()) for start, end in scenes]
        growth = arm.video_bytes / _as_good(plain, arm.vmaf) - 1
        lines.append(
            f"| {name} | {arm.used.cpu_s / baseline.cpu_s:.2f} "
            f"| {arm.used.wall_s / baseline.wall_s:.2f} | {arm.vmaf:.2f} "
            f"| {arm.vmaf - target:+.2f} | {growth:+.1%} | {min(means):.1f} "
            f"| {sum(mean < target - 6 for mean in means)} of {len(means)} |"
        )
    return lines


def _as_good(plain: list[Arm], vmaf: float) -> float:
    """Bytes of one CRF with that VMAF: a straight line through the plain encodes."""
    points = sorted((arm.vmaf, math.log(arm.video_bytes)) for arm in plain)
    slope, offset = np.polyfit([vmaf for vmaf, _ in points], [size for _, size in points], 1)
    return float(math.exp(slope * vmaf + offset))


def _arguments() -> argparse.Namespace:
    def size(text: str) -> tuple[int, int]:
        width, height = text.split("x")
        return int(width), int(height)

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--seconds", type=float, default=100.0)
    parser.add_argument("--size", type=size, default=(854, 480))
    parser.add_argument("--rate", type=Fraction, default=Fraction(24))
    parser.add_argument("--preset", type=int, default=6)
    parser.add_argument("--target", type=float, default=95.0)
    parser.add_argument("--runs", type=int, default=1, help="of drapto")
    parser.add_argument("--without", nargs="*", default=[], help="names of rivals to leave out")
    parser.add_argument("--work-dir", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
