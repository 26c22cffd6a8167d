"""Film grain as AV1 codes it: the encoder takes the grain off, and the player puts it on again.

    level_for("auto", grain=2.4)      # 24: the `film-grain` of SVT-AV1
    compared_with_denoised(24, …)     # how ffmpeg gets at what such an encode is made from

Of the noise that it takes off the encoder keeps a model with every frame (AV1 Bitstream & Decoding
Process Specification, 6.8.20 and 7.18.3), from which each player makes noise of the same look.
So two decodings of one file exist: the one with grain, which people see, and the base layer under
it. docs/film-grain.md says what is compared with what, and where the constants come from.
"""

from __future__ import annotations

from typing import Literal

FilmGrainChoice = Literal["auto", "off"] | int

MOST = 50  # of SVT-AV1's `film-grain`
# Per 8-bit code of the noise's standard deviation. Measured: decoded grain comes to 0.85 to 0.95 of
# the source's, and no level comes nearer from a grain of 2.4 on (docs/film-grain.md).
LEVEL_PER_CODE = 10.0
LEAST_GRAIN = 1.0  # 8-bit codes; what detection measures of clean films is below

# What SVT-AV1 is given wherever Drapto calls it: denoising begins with the same samples.
GIVEN_FORMAT = "yuv420p10le"

# Decoder options of ffmpeg's under which libdav1d yields the base layer.
BASE_LAYER = ("-export_side_data", "film_grain")


def level_for(choice: FilmGrainChoice, grain: float) -> int:
    """SVT-AV1's `film-grain`, 0 for none. `grain`: standard deviation, as of `VideoAnalysis`."""
    if choice == "off":
        return 0
    if isinstance(choice, int):
        return choice
    return min(MOST, round(LEVEL_PER_CODE * grain)) if grain >= LEAST_GRAIN else 0


def parameters(level: int) -> list[str]:
    """For `-svtav1-params`; none where there is to be no grain."""
    return [f"film-grain={level}", "film-grain-denoise=1"] if level else []


def compared_with_denoised(level: int, source: str, filters: str, graph: str) -> list[str]:
    """ffmpeg's options behind its inputs: `graph` reads the denoised source as [dec:0].

    `source`: as -map takes it; `filters`: what its encoder was given, in `GIVEN_FORMAT`. What the
    encoder began with comes out bit for bit: lossless, every frame by itself. Taking the grain off
    depends neither on the preset nor on other frames. 10 is the quickest preset that is lossless:
    from 11 on SVT-AV1 4.2 writes something else.
    """
    given = ":".join(["lossless=1", "lp=1", *parameters(level)])
    return [
        *("-map", source, "-vf", filters),
        *("-c:v", "libsvtav1", "-preset", "10", "-g", "1", "-svtav1-params", given),
        *("-fps_mode", "passthrough", "-enc_time_base", "filter", "-f", "null", "-"),
        *("-threads", "1", *BASE_LAYER, "-dec", "0:0"),
        *("-filter_complex", f"{graph}[compared]", "-map", "[compared]", "-f", "null", "-"),
    ]
