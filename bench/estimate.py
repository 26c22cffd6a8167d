"""How far `drapto estimate` is off, and what it takes, against the finished encode.

    .venv/bin/python bench/estimate.py CLIP… [--joined 4] [--crf 30 | --target-vmaf 95]

Every film is estimated and then encoded with the same options. Printed for each: bytes, wall time
and VMAF as predicted and as they came out, the error in percent (VMAF: in points), whether the
range held what came out, and the CPU time of the estimate as a share of that of the encode. At the
end the mean and largest error, and how often ranges held. `--joined N` adds N films of `--seconds`
each, made of shots of all clips (_compose.py), since a clip of half a minute is nearly all windows.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import imageio_ffmpeg

sys.path.insert(0, str(Path(__file__).resolve().parent))
from _compose import compose
from _pairs import Measurement, machine, measure

ROOT = Path(__file__).resolve().parent.parent
FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
DRAPTO = ROOT / "scripts" / "drapto"


@dataclass(frozen=True)
class Compared:
    """One figure: the range that was predicted, and what came out."""

    low: float
    likely: float
    high: float
    real: float

    @property
    def held(self) -> bool:
        return self.low <= self.real <= self.high

    @property
    def error(self) -> float:
        """Share of what came out; above 0 where too much was predicted."""
        return self.likely / self.real - 1


@dataclass(frozen=True)
class Row:
    film: str
    frames: int
    crf: float
    video_bytes: Compared
    output_bytes: Compared
    wall_s: Compared
    cpu_s: Compared
    vmaf: Compared | None
    cost: float  # CPU time of the estimate / CPU time of the encode
    sampled: float  # frames of the windows / frames


def main() -> None:
    args = _arguments()
    facts = machine()
    print(", ".join(f"{key} {value}" for key, value in facts.items()))
    options = ["--preset", str(args.preset)]
    if args.crf is not None:
        options += ["--crf", str(args.crf), "--measure"]
    elif args.target_vmaf is not None:
        options += ["--target-vmaf", str(args.target_vmaf)]
    print(f"options: {' '.join(options)}")
    rows = []
    with tempfile.TemporaryDirectory(prefix="drapto-bench-", dir=args.work_dir) as folder:
        for film in _films(args, Path(folder)):
            row = _compare(film, options, args.windows, Path(folder))
            rows.append(row)
            _print_row(row, is_first=len(rows) == 1)
    _print_summary(rows)
    if args.json:
        report = {"machine": facts, "options": options, "rows": [asdict(row) for row in rows]}
        args.json.write_text(json.dumps(report, indent=2) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--joined", type=int, default=0, help="films made of all clips")
    parser.add_argument("--only-joined", action="store_true", help="not the clips themselves")
    parser.add_argument("--seconds", type=float, default=180.0, help="of a joined film, at least")
    parser.add_argument("--preset", type=int, default=6)
    quality = parser.add_mutually_exclusive_group()
    quality.add_argument("--crf", type=float)
    quality.add_argument("--target-vmaf", type=float)
    parser.add_argument("--windows", type=int)
    parser.add_argument("--work-dir", type=Path, help="where the temporary folder is made")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here too")
    return parser.parse_args()


def _films(args: argparse.Namespace, work: Path) -> Iterator[Path]:
    if not args.only_joined:
        yield from args.clips
    sizes = ((854, 480), (640, 360))
    for number in range(args.joined):
        turned = number % len(args.clips)
        clips = [*args.clips[turned:], *args.clips[:turned]]
        film = work / f"joined{number}.mkv"
        compose(
            FFMPEG, clips, film,
            size=sizes[number % len(sizes)], rate=Fraction(24),
            length_s=args.seconds * (1 + number / max(1, args.joined)),
        )  # fmt: skip
        yield film
        film.unlink()


def _compare(film: Path, options: list[str], windows: int | None, work: Path) -> Row:
    said, output = work / "said.txt", work / "out.mkv"
    state = ["env", f"XDG_STATE_HOME={work / 'state'}"]
    wanted = [] if windows is None else ["--windows", str(windows)]
    tried = measure(
        [*state, DRAPTO, "estimate", film.absolute(), *options, *wanted, "--json"], stdout=said
    )
    found = json.loads(said.read_text())
    encoded = measure(
        [*state, DRAPTO, "encode", film.absolute(), output, *options, "--overwrite", "--json"],
        output=output, stdout=said,
    )  # fmt: skip
    events = [json.loads(line) for line in said.read_text().splitlines()]
    return _row(film, found, events, tried, encoded)


def _row(
    film: Path,
    found: dict[str, Any],
    events: list[dict[str, Any]],
    tried: Measurement,
    encoded: Measurement,
) -> Row:
    result = next(e["result"] for e in events if e["event"] == "job_finished")
    sizes = {e["segment"]: e["size_bytes"] for e in events if e["event"] == "segment_finished"}
    quality = result.get("quality")
    vmaf = None
    if found["vmaf"] is not None and quality is not None:
        vmaf = Compared(**found["vmaf"], real=quality["film"]["mean"])
    return Row(
        film=film.stem,
        frames=found["frames"],
        crf=found["crf"],
        video_bytes=Compared(**found["video_bytes"], real=sum(sizes.values())),
        output_bytes=Compared(**found["output_bytes"], real=result["output_bytes"]),
        wall_s=Compared(**found["wall_s"], real=result["wall_s"]),
        cpu_s=Compared(**found["cpu_s"], real=encoded.cpu_s),
        vmaf=vmaf,
        cost=tried.cpu_s / encoded.cpu_s,
        sampled=found["sampled_frames"] / found["frames"],
    )


def _print_row(row: Row, *, is_first: bool) -> None:
    if is_first:
        print(
            f"{'film':<22} {'frames':>6} {'tried':>6} {'cost':>6} {'CRF':>6}   "
            f"{'bytes: predicted (range)':<36} {'real':>11} {'error':>8}   "
            f"{'time: predicted, real':<20} {'error':>7}    "
            f"{'CPU: predicted, real':<20} {'error':>7}    VMAF: predicted, real"
        )
    size, wall, cpu = row.output_bytes, row.wall_s, row.cpu_s
    spoken = f"{size.likely:,.0f} ({size.low:,.0f} to {size.high:,.0f})"
    line = (
        f"{row.film[:22]:<22} {row.frames:>6} {row.sampled:>6.1%} {row.cost:>6.1%} {row.crf:>6.2f}"
        f"   {spoken:<36} {size.real:>11,.0f} {size.error:>+7.1%}{_mark(size)}   "
        f"{wall.likely:>7.1f} s, {wall.real:>6.1f} s   {wall.error:>+6.1%}{_mark(wall)}   "
        f"{cpu.likely:>7.1f} s, {cpu.real:>6.1f} s   {cpu.error:>+6.1%}{_mark(cpu)}"
    )
    if row.vmaf is not None:
        error = row.vmaf.likely - row.vmaf.real
        line += f"   {row.vmaf.likely:.2f}, {row.vmaf.real:.2f} ({error:+.2f}){_mark(row.vmaf)}"
    print(line, flush=True)


def _mark(compared: Compared) -> str:
    return " " if compared.held else "!"  # outside of the range


def _print_summary(rows: list[Row]) -> None:
    print()
    for name in ("video_bytes", "output_bytes", "wall_s", "cpu_s"):
        figures: list[Compared] = [getattr(row, name) for row in rows]
        _say(name, [figure.error for figure in figures], figures, "{:.1%}")
    measured = [row.vmaf for row in rows if row.vmaf is not None]
    if measured:
        _say("vmaf", [one.likely - one.real for one in measured], measured, "{:.2f}")
    costs = sorted(row.cost for row in rows)
    print(f"cost: {costs[0]:.1%} to {costs[-1]:.1%} of the CPU time of the encode")


def _say(name: str, errors: list[float], figures: list[Compared], form: str) -> None:
    sizes = [abs(error) for error in errors]
    held = sum(figure.held for figure in figures)
    print(
        f"{name}: mean error {form.format(sum(sizes) / len(sizes))}, largest "
        f"{form.format(max(sizes))}, on average {form.format(sum(errors) / len(errors))} too "
        f"much; {held} of {len(figures)} within the range"
    )


if __name__ == "__main__":
    main()
