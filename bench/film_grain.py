"""What film grain costs: `drapto encode --film-grain auto` against plain encodes that keep as much.

    .venv/bin/python bench/film_grain.py CLIP… [--noise 0 4 10/0.6] [--seconds 2] [--crf 30]

Takes a stretch of each clip, as it is (noise 0) and with noise of the given strengths (ffmpeg's
`noise`: normal, new in every frame, luma; after the slash, how many pixels it is blurred by, as
grain of film is), and encodes it three ways, each as a process of its own: with film grain, plainly
at the same CRF, and plainly at the highest whole CRF that leaves as much grain in the picture as
the first one shows. Grain is what detection measures in flat areas of every sixth frame: standard
deviation, 8-bit codes.

Bytes are of the whole output, which has no audio; CPU time is that of the whole program.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from _pairs import machine, measure

from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg
from drapto.services.detection.features import NumpyBackend

DRAPTO = Path(sys.executable).with_name("drapto")
EVERY = 6  # frames
CENTRE = 512, 288  # pixels, as detection looks at
LEAST_CRF = 1


@dataclass(frozen=True)
class Made:
    size_bytes: int
    grain: float  # of what a player shows
    cpu_s: float


def main() -> None:
    args = _arguments()
    print(json.dumps(machine()))
    print(f"{args.seconds:g} s of each clip, {args.size}, preset {args.preset}, CRF {args.crf}\n")
    print(
        "| clip | noise | grain of the source | shown with film grain | bytes "
        "| plain, same CRF: grain | bytes | plain, as much grain: CRF | grain | bytes "
        "| film grain / plain as grainy | CPU / plain, same CRF |"
    )
    print("| --- " * 12 + "|")
    with tempfile.TemporaryDirectory(prefix="drapto-bench-", dir=args.work_dir) as folder:
        for clip in args.clips:
            for noise in args.noise:
                source = _stretch(args, clip, noise, Path(folder) / "source.mkv")
                print(_row(args, f"{clip.stem} | {noise}", source), flush=True)


def _row(args: argparse.Namespace, name: str, source: Path) -> str:
    coded = _encode(args, source, args.crf, "auto")
    plain = _encode(args, source, args.crf, "off")
    cells = [
        *(name, f"{_grain(source):.2f}", f"{coded.grain:.2f}", f"{coded.size_bytes:,}"),
        *(f"{plain.grain:.2f}", f"{plain.size_bytes:,}"),
    ]
    found = _as_grainy(args, source, coded.grain) if coded.grain > plain.grain else None
    if found is None:
        cells += ["–", "–", "–", "–"]
    else:
        crf, grainy = found
        share = coded.size_bytes / grainy.size_bytes
        cells += [str(crf), f"{grainy.grain:.2f}", f"{grainy.size_bytes:,}", f"{share:.2f}"]
    return "| " + " | ".join([*cells, f"{coded.cpu_s / plain.cpu_s:.2f}"]) + " |"


def _as_grainy(args: argparse.Namespace, source: Path, wanted: float) -> tuple[int, Made] | None:
    """The highest CRF that leaves so much grain, by halving; None if not even the lowest does."""
    low, high, best = LEAST_CRF, args.crf - 1, None
    while low <= high:
        crf = (low + high) // 2
        made = _encode(args, source, crf, "off")
        if made.grain >= wanted:
            best, low = (crf, made), crf + 1
        else:
            high = crf - 1
    return best


def _encode(args: argparse.Namespace, source: Path, crf: int, film_grain: str) -> Made:
    output = source.with_name("output.mkv")
    used = measure(
        [
            *(DRAPTO, "encode", source, output, "--overwrite", "--no-resume", "--quiet"),
            *("--crf", str(crf), "--film-grain", film_grain, "--preset", str(args.preset)),
            *("--crop", "off", "--deinterlace", "off", "--audio", "none"),
        ],
        output=output,
    )
    return Made(used.size_bytes, _grain(output), used.cpu_s)


def _grain(path: Path) -> float:
    levels = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % EVERY:
                continue
            bits = frame.format.components[0].bits
            luma = frame.to_ndarray(format="gray" if bits == 8 else "gray10le")
            top, left = (
                (a - b) // 2 if a > b else 0 for a, b in zip(luma.shape, CENTRE[::-1], strict=True)
            )
            centre = luma[top : top + CENTRE[1], left : left + CENTRE[0]]
            levels.append(NumpyBackend().noise(centre, bits))
    found = [level for level in levels if level is not None]
    return float(np.median(found)) if found else 0.0


def _stretch(args: argparse.Namespace, clip: Path, noise: str, output: Path) -> Path:
    """Losslessly, in 8 bits."""
    width, height = args.size.split("x")
    fill = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height}"
    picture = f"{fill},setsar=1,format=yuv420p"
    strength, _, blur = noise.partition("/")
    if float(strength):
        grain = f"lutyuv=y=128,noise=c0s={strength}:c0f=t" + (f",gblur={blur}" if blur else "")
        picture += f",split[picture][gray];[gray]{grain}[grain];"
        picture += "[picture][grain]blend=c0_mode=grainmerge"
    subprocess.run(
        [
            *(find_ffmpeg(), "-nostdin", "-v", "error", "-y", "-ss", str(args.start)),
            *("-i", f"file:{clip.resolve()}", "-t", str(args.seconds), "-an", "-vf", picture),
            *("-c:v", "ffv1", str(output)),
        ],
        check=True,
    )
    return output


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--noise", nargs="+", default=["0", "4", "10/0.6"], metavar="S[/BLUR]")
    parser.add_argument("--start", type=float, default=2.0, help="seconds into each clip")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--preset", type=int, default=8)
    parser.add_argument("--crf", type=int, default=30)
    parser.add_argument("--work-dir", type=Path, help="for the outputs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
