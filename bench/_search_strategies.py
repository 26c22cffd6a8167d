"""How others look for a quality: the strategies of ab-av1 and Av1an, and no search at all.

    python bench/_search_strategies.py sample-search FILM OUTPUT --target 95 --preset 6

Small re-implementations, for `target_quality.py`, which runs each as a process of its own. They are
not those programs: all use Drapto's frame-exact reading, SVT-AV1 and libvmaf, so that only
the strategy differs. What each leaves out of its program is to its advantage: no audio, no
checks, and Av1an's joining is a plain concat.

- `plain`: the whole film at one CRF, by one encoder.
- `sample-search` (ab-av1 `crf-search`, then `encode`): one sample of 20 s in every 12 minutes
  is encoded and measured at whole CRFs until the lowest quality that reaches the target is found.
- `scene-search` (Av1an `--target-quality`): each scene is encoded and measured up to 4 times,
  to within 0.5 of the target, then encoded at what was found.
"""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import numpy as np

from drapto.core.job import EncodeOptions
from drapto.core.quality import Measuring, Metric
from drapto.core.segments import EncodedSegment, Segment, VideoSettings
from drapto.core.source import SourceVideo
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.infrastructure.ffmpeg.executor import LocalSegmentExecutor
from drapto.infrastructure.ffmpeg.inspector import DecodingInspector
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.metrics import metric_for
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.ffmpeg.segment_quality import SegmentMeasurer
from drapto.infrastructure.machine import cpu_cores
from drapto.services.detection.features import NumpyBackend
from drapto.services.detection.service import StreamingDetection
from drapto.services.encoding.measuring import measuring_arguments
from drapto.services.encoding.service import ParallelEncoding
from drapto.services.encoding.settings import video_settings
from drapto.services.encoding.svt_av1 import SvtAv1
from drapto.services.encoding.tasks import make_tasks
from drapto.services.segmentation.service import SceneSegmentation

LOWEST, HIGHEST, FIRST = 10, 55, 32  # CRF
SAMPLE_S, SAMPLE_EVERY_S = 20, 720  # ab-av1's
PROBES, NEAR_ENOUGH = 4, 0.5  # Av1an's; VMAF


@dataclass(frozen=True)
class Workbench:
    video: SourceVideo
    settings: VideoSettings
    place: Path

    async def encode(
        self, start: int, end: int, crf: float, *, measured: bool, lp: int = 1
    ) -> EncodedSegment:
        encoder, ffmpeg = SvtAv1(), find_ffmpeg()
        settings = self.settings.model_copy(update={"crf": crf})
        model = metric_for(Metric.VMAF).model_for(settings.width, settings.height)
        (task,) = make_tasks(
            self.video,
            [Segment(index=start, start=start, end=end)],
            settings,
            self.place,
            measuring=Measuring(model=model) if measured else None,
        )
        out = self.place / f"{start}-{end}-{crf}.mkv"
        executor = LocalSegmentExecutor(
            ffmpeg,
            encoder.arguments,
            DecodingInspector(SegmentMeasurer(ffmpeg, measuring_arguments)),
        )
        return await executor.run(
            task.model_copy(update={"output": out, "lp": lp}), lambda _frames: None
        )

    @property
    def frames(self) -> int:
        return len(self.video.index)


async def plain(bench: Workbench, crf: float) -> list[EncodedSegment]:
    return [await bench.encode(0, bench.frames, crf, measured=False, lp=cpu_cores())]


async def sample_search(bench: Workbench, target: float) -> list[EncodedSegment]:
    rate = float(bench.video.index.frame_rate)
    count = max(1, round(bench.frames / rate / SAMPLE_EVERY_S))
    length = min(bench.frames, round(SAMPLE_S * rate))
    middles = [(number + 0.5) / count * bench.frames for number in range(count)]
    starts = [int(np.clip(middle - length / 2, 0, bench.frames - length)) for middle in middles]

    async def probe(crf: int) -> float:
        scores = []
        for start in starts:
            done = await bench.encode(start, start + length, crf, measured=True, lp=cpu_cores())
            assert done.quality is not None
            scores.append(done.quality.mean)
        return float(np.mean(scores))

    good, bad, crf = LOWEST - 1, HIGHEST + 1, FIRST
    known: dict[int, float] = {}
    while bad - good > 1:
        known[crf] = await probe(crf)
        good, bad = (crf, bad) if known[crf] >= target else (good, crf)
        crf = (good + bad) // 2
        if good in known and bad in known:  # straight between the two, as ab-av1 does
            share = (known[good] - target) / (known[good] - known[bad])
            crf = int(np.clip(round(good + share * (bad - good)), good + 1, bad - 1))
    return await plain(bench, max(good, LOWEST))


async def scene_search(bench: Workbench, target: float) -> list[EncodedSegment]:
    options = EncodeOptions(crop="off")
    detection = StreamingDetection(PyAvLumaReader(), NumpyBackend())
    analysis = await detection.analyze(bench.video, options, lambda _frames: None)
    segments = await SceneSegmentation().plan(bench.video, analysis, options)
    done: dict[int, EncodedSegment] = {}
    cores = anyio.CapacityLimiter(cpu_cores())

    async def one(segment: Segment) -> None:
        async with cores:
            crf = await _probed(bench, segment, target)
            done[segment.start] = await bench.encode(
                segment.start, segment.end, crf, measured=False
            )

    async with anyio.create_task_group() as group:
        for segment in segments:
            group.start_soon(one, segment)
    return [done[start] for start in sorted(done)]


async def _probed(bench: Workbench, segment: Segment, target: float) -> float:
    known: dict[float, float] = {}
    low, high, crf = float(LOWEST), float(HIGHEST), float(FIRST)
    while len(known) < PROBES and crf not in known:
        done = await bench.encode(segment.start, segment.end, crf, measured=True)
        assert done.quality is not None
        known[crf] = done.quality.mean
        if abs(known[crf] - target) <= NEAR_ENOUGH:
            return crf
        low, high = (crf, high) if known[crf] > target else (low, crf)
        by_score = sorted(known, key=lambda tried: known[tried])
        crf = (low + high) / 2
        if len(known) > 1:
            crf = float(np.interp(target, [known[tried] for tried in by_score], by_score))
        crf = float(np.clip(round(4 * crf) / 4, LOWEST, HIGHEST))
    return min(known, key=lambda tried: abs(known[tried] - target))


async def run(args: argparse.Namespace, place: Path) -> list[EncodedSegment]:
    reader = PyAvReader(find_ffmpeg())
    media = await reader.probe(args.film.absolute())
    track = reader.main_video(media)
    video = await reader.open_video(media, track, place)
    settings = video_settings(
        video,
        None,
        track.color,
        EncodeOptions(preset=args.preset),
        encoder=SvtAv1(),
        encoding=ParallelEncoding(None, None),  # type: ignore[arg-type]
        lp=1,
    )
    bench = Workbench(video, settings, place)
    if args.strategy == "plain":
        return await plain(bench, args.crf)
    if args.strategy == "sample-search":
        return await sample_search(bench, args.target)
    return await scene_search(bench, args.target)


def join(done: list[EncodedSegment], output: Path, place: Path) -> None:
    listing = place / "segments.txt"
    listing.write_text("".join(f"file '{segment.path}'\n" for segment in done))
    subprocess.run(
        [find_ffmpeg(), "-v", "error", "-nostdin", "-f", "concat", "-safe", "0", "-i", listing,
         "-c", "copy", "-y", output],
        check=True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("strategy", choices=["plain", "sample-search", "scene-search"])
    parser.add_argument("film", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--target", type=float, default=95.0)
    parser.add_argument("--crf", type=float, default=30.0)
    parser.add_argument("--preset", type=int, default=6)
    args = parser.parse_args()
    with TemporaryDirectory(dir=args.output.parent) as place:
        here = Path(place).absolute()
        join(anyio.run(run, args, here), args.output, here)


if __name__ == "__main__":
    main()
