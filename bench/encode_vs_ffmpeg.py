"""The whole `drapto encode` against plain ffmpeg with the same encoder.

    .venv/bin/python bench/encode_vs_ffmpeg.py CLIP… [--runs 3] [--preset 6] [--crf 30]

Composes one clip with cuts from the given clips, then encodes it in turn with
`scripts/drapto encode` (analysis, audio, mux and validation included) and with one plain
ffmpeg run: same libsvtav1, preset, CRF, pixel format, key frame distance and Opus bit rate.
Prints the ratio of wall time, CPU time, memory and bytes pair by pair, and the VMAF of both.
Without clips the picture is generated, which says little about films; the output says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg

sys.path.insert(0, str(Path(__file__).resolve().parent))
from _compose import Composed, compose
from _pairs import Measurement, interleave, machine, measure, ratios, spread

ROOT = Path(__file__).resolve().parent.parent
FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
KEYINT_S = 10  # Drapto's longest segment, so that both have the same key frame distance
AUDIO_BIT_RATE = "128k"  # what Drapto gives stereo
FIGURES = {"wall_s": "wall", "cpu_s": "CPU", "peak_rss_bytes": "memory", "size_bytes": "bytes"}


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="drapto-bench-", dir=args.work_dir) as folder:
        work = Path(folder)
        clip = compose(
            FFMPEG, args.clips, work / "clip.mkv",
            size=args.size, rate=args.rate, length_s=args.seconds,
        )  # fmt: skip
        report = _header(args, clip)
        _print_header(report)
        commands = _commands(args, clip.path, work)
        for name, (command, _) in commands.items():
            print(f"{name}: {shlex.join(map(str, command))}")
        measured = interleave(
            {name: _arm(*command) for name, command in commands.items()},
            runs=args.runs,
            on_done=_print_run,
        )
        report["runs"] = {name: [asdict(m) for m in of] for name, of in measured.items()}
        report["ratios"] = {
            figure: asdict(ratios(measured["drapto"], measured["ffmpeg"], figure))
            for figure in FIGURES
        }
        report["stages_s"] = _stages(commands["drapto"][1], args.runs)
        outputs = {name: output for name, (_, output) in commands.items()}
        report["vmaf"] = {name: _vmaf(output, clip, args) for name, output in outputs.items()}
        report["sha256"] = {
            name: hashlib.sha256(output.read_bytes()).hexdigest()
            for name, output in outputs.items()
        }
    _print_summary(report, measured)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    def size(text: str) -> tuple[int, int]:
        width, height = text.split("x")
        return int(width), int(height)

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", nargs="*", type=Path, metavar="CLIP")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--preset", type=int, default=6)
    parser.add_argument("--crf", type=int, default=30)
    parser.add_argument("--size", type=size, default=(854, 480), metavar="WxH")
    parser.add_argument("--rate", type=Fraction, default=Fraction(24), metavar="FPS")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of the composed clip, at least"
    )
    parser.add_argument("--workers", help="passed to drapto encode")
    parser.add_argument("--no-vmaf", action="store_true", help="only times and bytes")
    parser.add_argument("--work-dir", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here too")
    return parser.parse_args()


def _commands(
    args: argparse.Namespace, clip: Path, work: Path
) -> dict[str, tuple[list[str | Path], Path]]:
    """Each arm's command and the file it writes."""
    ours, theirs = work / "drapto.mkv", work / "ffmpeg.mkv"
    workers = ["--workers", args.workers] if args.workers else []
    quality = [("--crf", args.crf), ("--preset", args.preset)]
    drapto = [
        *(ROOT / "scripts" / "drapto", "encode", clip, ours, "--overwrite", "--json"),
        *(str(part) for option in quality for part in option),
        *workers,
    ]
    ffmpeg = [
        *(FFMPEG, "-nostdin", "-v", "error", "-y", "-i", clip),
        *("-map", "0:v:0", "-map", "0:a"),
        *("-c:v", "libsvtav1", "-preset", str(args.preset), "-crf", str(args.crf)),
        *("-pix_fmt", "yuv420p10le", "-g", str(int(KEYINT_S * args.rate))),
        *("-c:a", "libopus", "-b:a", AUDIO_BIT_RATE, theirs),
    ]
    return {"drapto": (drapto, ours), "ffmpeg": (ffmpeg, theirs)}


def _arm(command: list[str | Path], output: Path) -> Callable[[int], Measurement]:
    return lambda run: measure(command, output=output, stdout=output.with_suffix(f".{run}.txt"))


def _stages(output: Path, runs: int) -> dict[str, float]:
    """Median wall time of each of Drapto's stages, by the events it printed."""
    seen: dict[str, list[float]] = {}
    for run in range(runs):
        for line in output.with_suffix(f".{run}.txt").read_text().splitlines():
            event = json.loads(line)
            if event["event"] == "stage_finished":
                seen.setdefault(event["stage"], []).append(event["wall_s"])
    return {stage: spread(walls).median for stage, walls in seen.items()}


def _vmaf(output: Path, clip: Composed, args: argparse.Namespace) -> dict[str, float] | None:
    """VMAF over every frame, paired by frame number: mean, harmonic mean, lowest."""
    if args.no_vmaf:
        return None
    with av.open(str(output)) as container:
        video = container.streams.video[0]
        frames = sum(1 for packet in container.demux(video) if packet.size)
        if (frames, (video.width, video.height)) != (clip.frames, args.size):
            raise SystemExit(
                f"{output.name} has {frames} frames of {video.width}x{video.height}, the clip "
                f"{clip.frames} of {args.size[0]}x{args.size[1]}: they cannot be compared"
            )
    log = output.with_suffix(".vmaf.json")
    one = f"settb={1 / args.rate},setpts=N,format=yuv420p10le"
    graph = (
        f"[0:v]{one}[out];[1:v]{one}[ref];"
        f"[out][ref]libvmaf=n_threads={machine()['cores']}:log_fmt=json:log_path={log.name}"
    )
    subprocess.run(
        [FFMPEG, "-nostdin", "-v", "error", "-i", output, "-i", clip.path, "-lavfi", graph,
         "-an", "-fps_mode", "passthrough",
         "-f", "null", "-"],
        check=True,
        cwd=log.parent,
    )  # fmt: skip
    pooled = json.loads(log.read_text())["pooled_metrics"]["vmaf"]
    return {name: pooled[name] for name in ("mean", "harmonic_mean", "min")}


def _header(args: argparse.Namespace, clip: Composed) -> dict[str, Any]:
    banner = subprocess.run([FFMPEG, "-version"], capture_output=True, text=True, check=True)
    return {
        "machine": machine(),
        "ffmpeg": banner.stdout.split(" Copyright")[0],
        "clip": {
            "frames": clip.frames, "duration_s": clip.duration_s, "shots": clip.shots,
            "sources": [c.name for c in args.clips], "size": args.size, "rate": str(args.rate),
        },
        "settings": {"crf": args.crf, "preset": args.preset, "workers": args.workers or "auto"},
    }  # fmt: skip


def _print_header(report: dict[str, Any]) -> None:
    on, clip = report["machine"], report["clip"]
    print(
        f"machine: {on['cores']} cores of {on['cpu']}, {on['memory_gib']} GiB, "
        f"load {on['load_before']} before; {report['ffmpeg']}"
    )
    material = ", ".join(clip["sources"]) or "GENERATED pictures, not real content"
    width, height = clip["size"]
    print(
        f"clip: {clip['duration_s']:.1f} s, {clip['frames']} frames, {width}x{height} at "
        f"{clip['rate']} fps, {clip['shots']} shots from {material}"
    )


def _print_run(run: int, arm: str, m: Measurement) -> None:
    print(
        f"run {run + 1} {arm}: wall {m.wall_s:7.2f} s   CPU {m.cpu_s:7.2f} s   "
        f"memory {m.peak_rss_bytes / 2**20:6.0f} MiB   {m.size_bytes:>9} bytes",
        flush=True,
    )


def _print_summary(report: dict[str, Any], measured: dict[str, list[Measurement]]) -> None:
    print("\ndrapto / ffmpeg   median  (min to max), pair by pair")
    for figure, label in FIGURES.items():
        print(f"  {label:<8} {ratios(measured['drapto'], measured['ffmpeg'], figure)}")
    cores = report["machine"]["cores"]
    for name, runs in measured.items():
        print(f"{name}: cores kept busy {spread([m.cpu_s / m.wall_s for m in runs])} of {cores}")
    stages = (f"{stage} {wall_s:.2f} s" for stage, wall_s in report["stages_s"].items())
    print("drapto: stages, which may overlap: " + ", ".join(stages))
    floor = spread([b.cpu_s / cores / b.wall_s for b in measured["ffmpeg"]])
    print(f"floor of the wall ratio (ffmpeg's CPU time on {cores} full cores): {floor}")
    if all(report["vmaf"].values()):
        ours, theirs = report["vmaf"]["drapto"], report["vmaf"]["ffmpeg"]
        for name in ours:
            print(
                f"VMAF {name}: drapto {ours[name]:.3f}, ffmpeg {theirs[name]:.3f}, "
                f"difference {ours[name] - theirs[name]:+.3f}"
            )
    sizes = {name: {m.size_bytes for m in runs} for name, runs in measured.items()}
    for name, seen in sizes.items():
        if len(seen) > 1:
            print(f"{name}: sizes differ between runs: {sorted(seen)}")


if __name__ == "__main__":
    main()
