"""Metrics for HDR side by side: XPSNR, ColorVideoVDP and SSIMULACRA2 of encodes at five CRFs.

    pip install torch==2.13.0 torchvision cvvdp==0.5.7 ssimulacra2==0.3.0 scipy
    python bench/hdr_metrics.py CLIP[@SECONDS]… [--frames 9] [--height 1080]

The clips, from that second on, are PQ in BT.2020 (an SDR clip is brought there, its white at
203 cd/m2). Each is encoded by SVT-AV1 at CRF 20 to 60, and every encode measured by

- XPSNR as Drapto does, of the coded luma;
- ColorVideoVDP on its display `standard_hdr_pq`: one figure for the clip, in JOD, at most 10;
- SSIMULACRA2 of linear light, 1.0 at 203 cd/m2: it knows no PQ of its own.

Printed: the figures, whether each metric falls with every step of the CRF, how far it ranks all
encodes of all clips as XPSNR does (Spearman), and the CPU time for a frame on one thread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import imageio_ffmpeg
import numpy as np
import numpy.typing as npt
import pycvvdp
import torch
from scipy.stats import spearmanr
from ssimulacra2 import ssimulacra2 as s2

sys.path.insert(0, str(Path(__file__).resolve().parent))
from _pairs import machine, measure

from drapto.core.quality import Measuring, Metric
from drapto.infrastructure.ffmpeg.metrics import metric_for

FFMPEG = Path(imageio_ffmpeg.get_ffmpeg_exe())
CRFS = (20, 30, 40, 50, 60)
WHITE_CD_M2 = 203.0  # of HDR reference white (ITU-R BT.2408)
PQ = "colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"
TO_PQ = "zscale=matrix=2020_ncl:primaries=2020:transfer=smpte2084:range=limited:npl=203"
NAMES = ("xpsnr", "cvvdp", "ssimulacra2")

Pictures = npt.NDArray[np.uint16]  # (frames, height, width, 3): R'G'B', PQ, full range


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("clip", nargs="+")
    parser.add_argument("--frames", type=int, default=9, help="of each clip")
    parser.add_argument("--height", type=int, default=0, help="lines; 0: as the clip has")
    options = parser.parse_args()
    torch.set_num_threads(1)
    vdp = pycvvdp.cvvdp(display_name="standard_hdr_pq", device=torch.device("cpu"), quiet=True)
    print(machine())
    print(f"| clip | CRF | kbit/frame | {' | '.join(NAMES)} | seconds a frame |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    rows: dict[str, list[list[float]]] = {clip: [] for clip in options.clip}
    with tempfile.TemporaryDirectory(prefix="hdr-metrics-") as folder:
        for clip in options.clip:
            original = _original(clip, options, Path(folder))
            for crf in CRFS:
                encode = _encode(original, crf)
                scores, took_s, frames = _measured(vdp, original, encode)
                rows[clip].append(scores)
                kbit = encode.stat().st_size * 8 / 1000 / frames
                figures = " | ".join(f"{score:.3f}" for score in scores)
                times = ", ".join(f"{seconds:.2f}" for seconds in took_s)
                print(
                    f"| {Path(clip).stem} | {crf} | {kbit:.0f} | {figures} | {times} |", flush=True
                )
    everything = np.asarray([scores for found in rows.values() for scores in found])
    for place, name in enumerate(NAMES):
        falls = all(a[place] > b[place] for found in rows.values() for a, b in pairwise(found))
        alike = spearmanr(everything[:, 0], everything[:, place]).statistic
        print(f"{name}: falls at every step: {falls}; ranks as XPSNR does: {alike:.3f}")


def _original(named: str, options: argparse.Namespace, folder: Path) -> Path:
    clip, _at, start_s = named.partition("@")
    path = folder / "original.mkv"
    # A raw stream cannot be sought in, not even to its beginning.
    seek = ("-ss", start_s) if start_s else ()
    size = f"scale=-2:{options.height}:flags=lanczos," if options.height else ""
    hdr = "smpte2084" in subprocess.run(
        [FFMPEG, "-i", clip], capture_output=True, text=True, check=False
    ).stderr  # fmt: skip
    # What an untagged SDR clip is taken for.
    sdr = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv,format=gbrp,"
    filters = size + ("" if hdr else f"{sdr}{TO_PQ},") + f"format=yuv420p10le,setparams={PQ}"
    _run(*seek, "-i", clip, "-map", "0:v:0", "-frames:v", options.frames, "-vf", filters,
         "-fps_mode", "passthrough", "-c:v", "ffv1", path)  # fmt: skip
    return path


def _encode(original: Path, crf: int) -> Path:
    path = original.with_name("encode.mkv")
    _run("-i", original, "-c:v", "libsvtav1", "-preset", "8", "-crf", crf, path)
    return path


def _measured(vdp: Any, original: Path, encode: Path) -> tuple[list[float], list[float], int]:
    xpsnr, xpsnr_s, size = _xpsnr(original, encode)
    test, reference = _pictures(encode, *size), _pictures(original, *size)
    frames = len(reference)
    began = time.process_time()
    jod, _stats = vdp.predict(test, reference, dim_order="FHWC", frames_per_second=24)
    vdp_s = time.process_time() - began
    began = time.process_time()
    pairs = zip(test, reference, strict=True)
    similar = fmean(_ssimulacra2(_linear(a), _linear(b)) for a, b in pairs)
    s2_s = time.process_time() - began
    scores = [xpsnr, float(jod), similar]
    return scores, [xpsnr_s / frames, vdp_s / frames, s2_s / frames], frames


def _xpsnr(original: Path, encode: Path) -> tuple[float, float, tuple[int, int]]:
    """dB, CPU seconds for all (decoding included), and width and height."""
    metric, measuring = metric_for(Metric.XPSNR), Measuring(metric=Metric.XPSNR)
    log = original.with_name("scores.log")
    compared = metric.graph(
        measuring, encoded="[e]", original="[o]", frame_rate=Fraction(24), log=str(log), threads=1
    )
    form = metric.pixel_format(10)
    graph = f"[0:v]format={form}[e];[1:v]format={form}[o];{compared}"
    inputs = ["-i", encode, "-i", original]
    took = measure([FFMPEG, "-v", "fatal", *inputs, "-lavfi", graph, "-f", "null", "-"])
    reader = imageio_ffmpeg.read_frames(str(original))
    width, height = next(reader)["size"]
    reader.close()
    return fmean(metric.scores(log.read_bytes(), measuring)), took.cpu_s, (width, height)


def _pictures(path: Path, width: int, height: int) -> Pictures:
    filters = f"setparams={PQ},zscale=matrix=gbr:range=full,format=gbrp16le,format=rgb48le"
    command = [FFMPEG, "-v", "error", "-i", path, "-vf", filters, "-f", "rawvideo", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(bytearray(raw), "<u2").reshape(-1, height, width, 3)


def _linear(picture: npt.NDArray[np.uint16]) -> npt.NDArray[np.float64]:
    """SMPTE ST 2084, 1.0 at white."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    powered = (picture / 65535.0) ** (1 / m2)
    light = (np.maximum(powered - c1, 0) / (c2 - c3 * powered)) ** (1 / m1)
    return np.asarray(light * 10000 / WHITE_CD_M2)


def _ssimulacra2(test: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]) -> float:
    """The package's own steps, which it takes with 8-bit image files alone."""
    found = s2.Msssim()
    for scale in range(s2.kNumScales):
        if min(reference.shape[:2]) < 8:
            break
        if scale:
            reference, test = s2.downsample(reference, 2, 2), s2.downsample(test, 2, 2)
        a = s2.make_positive_xyb(s2.linear_rgb_to_xyb(reference))
        b = s2.make_positive_xyb(s2.linear_rgb_to_xyb(test))
        mean_a, mean_b = s2.blur_image(a), s2.blur_image(b)
        data = s2.MsssimScale()
        data.avg_ssim = s2.ssim_map(
            mean_a, mean_b, s2.blur_image(a * a), s2.blur_image(b * b), s2.blur_image(a * b)
        )
        data.avg_edgediff = s2.edge_diff_map(a, mean_a, b, mean_b)
        found.scales.append(data)
    return float(found.score())


def _run(*arguments: object) -> None:
    command = [str(FFMPEG), "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)


if __name__ == "__main__":
    main()
