"""What a shadow run costs the job that it is run beside.

    .venv/bin/python bench/shadow_overhead.py CLIP… [--runs 3] [--preset 8] [--mode shadow]

Composes one clip with cuts from the given clips, then encodes it in turn with shadow runs off and
on for all three stages. Prints, pair by pair, the ratio of the primary's wall time (from starting
the program to its `job_finished` event, when the output is in its place), and apart from it how
long the candidates worked after that. Needs what the legacy scripts need (`drapto doctor`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg

sys.path.insert(0, str(Path(__file__).resolve().parent))
from _compose import compose
from _pairs import Measurement, interleave, machine, ratios, spread

ROOT = Path(__file__).resolve().parent.parent
FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
STAGES = ("detection", "segmentation", "encoding")
SERVES = {"shadow": "legacy", "new": "new"}  # who serves in a mode, and without shadow runs


@dataclass(frozen=True)
class ShadowMeasurement(Measurement):
    """`wall_s` is the primary's; `after_s` what the program waited for afterwards."""

    after_s: float = 0.0
    outcomes: tuple[str, ...] = ()


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="drapto-bench-", dir=args.work_dir) as folder:
        work = Path(folder)
        clip = compose(
            FFMPEG, args.clips, work / "clip.mkv",
            size=args.size, rate=Fraction(24), length_s=args.seconds,
        )  # fmt: skip
        on = machine()
        print(f"machine: {on['cores']} cores of {on['cpu']}, load {on['load_before']} before")
        material = ", ".join(c.name for c in args.clips) or "GENERATED pictures"
        print(
            f"clip: {clip.duration_s:.1f} s, {clip.frames} frames, {args.size[0]}x{args.size[1]}, "
            f"{clip.shots} shots from {material}; mode {args.mode}, preset {args.preset}"
        )
        measured = interleave(
            {
                "off": _arm(clip.path, work, SERVES[args.mode], 0.0, args),
                "on": _arm(clip.path, work, args.mode, 1.0, args),
            },
            runs=args.runs,
            on_done=_print_run,
        )
    print("\nshadow on / off   median  (min to max), pair by pair")
    print(f"  primary wall time   {ratios(measured['on'], measured['off'], 'wall_s')}")
    after = [m.after_s for m in measured["on"] if isinstance(m, ShadowMeasurement)]
    print(f"  candidates, after the primary had finished: {spread(after)} s")
    sizes = {m.size_bytes for runs in measured.values() for m in runs}
    print(
        f"  the output is {'the same size' if len(sizes) == 1 else 'NOT the same size'} each time"
    )


def _arguments() -> argparse.Namespace:
    def size(text: str) -> tuple[int, int]:
        width, height = text.split("x")
        return int(width), int(height)

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--mode", choices=SERVES, default="shadow")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--preset", type=int, default=8)
    parser.add_argument("--size", type=size, default=(854, 480), metavar="WxH")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--work-dir", type=Path)
    return parser.parse_args()


def _arm(
    clip: Path, work: Path, mode: str, sample: float, args: argparse.Namespace
) -> Callable[[int], ShadowMeasurement]:
    """One of the two commands, each with a flags file and a state directory of its own."""
    state, output = work / f"state-{sample:g}", work / f"{sample:g}.mkv"
    flags = work / f"flags-{sample:g}.toml"
    shadow = f"shadow = {{ sample = {sample}, aa_sample = 0.0 }}"
    tables = (f'[stage.{stage}]\nmode = "{mode}"\n{shadow}\n' for stage in STAGES)
    flags.write_text("schema = 1\n" + "\n".join(tables))
    command = [
        sys.executable, "-m", "cli.main", "encode", str(clip), str(output),
        "--overwrite", "--json", "--crf", "35", "--preset", str(args.preset),
    ]  # fmt: skip
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DRAPTO_")}
    environment = {
        **kept,
        "PYTHONPATH": str(ROOT),
        "DRAPTO_FLAGS_FILE": str(flags),
        "DRAPTO_STATE_DIR": str(state),
    }

    def run(_number: int) -> ShadowMeasurement:
        output.unlink(missing_ok=True)
        started_s, finished_s, outcomes = time.monotonic(), 0.0, []
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                event = json.loads(line)
                if event["event"] == "job_finished":
                    finished_s = time.monotonic()
                elif event["event"] == "comparison_done":
                    found = event["comparison"]
                    outcomes.append(f"{found['stage']} {found['outcome']}")
        ended_s = time.monotonic()
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, command)
        return ShadowMeasurement(
            wall_s=finished_s - started_s,
            cpu_s=0.0,
            peak_rss_bytes=0,
            size_bytes=output.stat().st_size,
            after_s=ended_s - finished_s,
            outcomes=tuple(outcomes),
        )

    return run


def _print_run(run: int, arm: str, m: Measurement) -> None:
    assert isinstance(m, ShadowMeasurement)
    print(
        f"run {run + 1} {arm:>3}: primary {m.wall_s:7.2f} s   afterwards {m.after_s:7.2f} s   "
        f"{m.size_bytes:>9} bytes   {', '.join(m.outcomes)}",
        flush=True,
    )


if __name__ == "__main__":
    main()
