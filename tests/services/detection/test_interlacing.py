from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drapto.core.analysis import FieldOrder, Interlacing
from drapto.core.deinterlacing import Deinterlacing, chosen
from tests.media.clips import ffmpeg
from tests.media.film import (
    Planes,
    blank,
    film,
    generated,
    interlaced,
    shot,
    telecined,
    texture,
    with_noise,
    write_film,
)
from tests.services.detection.helpers import analysed, found_in


@pytest.mark.parametrize("step", [(3, 0), (1, 1), (7, 2)])
@pytest.mark.parametrize("top_first", [True, False])
def test_field_order_is_seen_in_the_pixels(
    tmp_path: Path, step: tuple[float, float], top_first: bool
) -> None:
    planes = interlaced(shot(3, 80, step=step), top_first=top_first)
    kind = Interlacing.TOP_FIELD_FIRST if top_first else Interlacing.BOTTOM_FIELD_FIRST
    found = analysed(tmp_path, planes)
    assert found.interlacing is kind
    assert found.field_order is (FieldOrder.TOP_FIRST if top_first else FieldOrder.BOTTOM_FIRST)


@pytest.mark.parametrize("step", [(1, 0), (6, 0), (2, 3)])
def test_moving_film_is_progressive(tmp_path: Path, step: tuple[float, float]) -> None:
    assert analysed(tmp_path, shot(3, 40, step=step)).interlacing is Interlacing.PROGRESSIVE


@pytest.mark.parametrize("top_first", [True, False])
def test_pulldown_is_seen_by_its_repeated_fields(tmp_path: Path, top_first: bool) -> None:
    planes = telecined(shot(3, 64, step=(3, 0)), top_first=top_first)
    found = analysed(tmp_path, planes)
    assert found.interlacing is Interlacing.TELECINED
    assert found.field_order is (FieldOrder.TOP_FIRST if top_first else FieldOrder.BOTTOM_FIRST)


@pytest.mark.parametrize("top_first", [True, False])
@pytest.mark.parametrize("step", [(2, 0), (2, 1)])
def test_pulldown_is_seen_under_coding_noise_that_hides_repeated_fields(
    tmp_path: Path, top_first: bool, step: tuple[float, float]
) -> None:
    planes = telecined(shot(3, 144, step=step), top_first=top_first)
    found = found_in(in_fields(tmp_path, planes, "tff" if top_first else "bff", crf=22))
    assert found.interlacing is Interlacing.TELECINED
    assert found.field_order is (FieldOrder.TOP_FIRST if top_first else FieldOrder.BOTTOM_FIRST)


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_order_of_the_flags_is_that_of_the_frames(tmp_path: Path, order: str) -> None:
    """libavformat calls such a file 'top coded, bottom shown first', or the reverse."""
    found = found_in(in_fields(tmp_path, np.repeat(texture(1)[None], 24, 0), order))
    assert found.interlacing == order
    assert found.field_order == order


def test_film_with_interlaced_parts_is_mixed(tmp_path: Path) -> None:
    planes = film(shot(2, 144, step=(2, 0)), interlaced(shot(3, 288, step=(2, 0))))
    assert analysed(tmp_path, planes).interlacing is Interlacing.MIXED


def test_noise_does_not_comb(tmp_path: Path) -> None:
    planes = with_noise(shot(3, 40, step=(2, 0)), 6)
    assert analysed(tmp_path, planes).interlacing is Interlacing.PROGRESSIVE


def test_interlacing_is_seen_through_noise(tmp_path: Path) -> None:
    planes = with_noise(interlaced(shot(3, 80, step=(3, 0))), 4)
    assert analysed(tmp_path, planes).interlacing is Interlacing.TOP_FIELD_FIRST


@pytest.mark.parametrize("still", [blank(30, 90), np.repeat(texture(1)[None], 30, 0)])
def test_still_pictures_without_flags_count_as_progressive(
    tmp_path: Path, still: np.ndarray
) -> None:
    assert analysed(tmp_path, still).interlacing is Interlacing.PROGRESSIVE


def test_flags_decide_where_nothing_moves(tmp_path: Path) -> None:
    flagged = in_fields(tmp_path, np.repeat(texture(1)[None], 24, 0), "tff")
    assert found_in(flagged).interlacing is Interlacing.TOP_FIELD_FIRST


def test_flags_do_not_overrule_moving_pixels(tmp_path: Path) -> None:
    flagged = in_fields(tmp_path, shot(3, 40, step=(3, 0)), "tff")
    assert found_in(flagged).interlacing is Interlacing.PROGRESSIVE


def test_10_bit_fields_are_compared_alike(tmp_path: Path) -> None:
    planes = interlaced(shot(3, 80, step=(3, 0)))
    found = analysed(tmp_path, planes, pixel_format="yuv420p10le")
    assert found.interlacing is Interlacing.TOP_FIELD_FIRST


def in_fields(folder: Path, planes: Planes, order: str, *, crf: int = 10) -> Path:
    """H.264 coded in fields, whose every frame says which comes first."""
    plain, out = write_film(folder / "plain.mkv", planes, fps=30), folder / "fields.mkv"
    coded = ("-c:v", "libx264", "-preset", "veryfast", "-crf", str(crf), "-flags", "+ildct+ilme")
    ffmpeg("-i", plain, "-vf", f"setfield={order}", *coded, out)
    return out


PATTERNS = (
    "testsrc", "testsrc2", "smptebars", "smptehdbars", "mandelbrot", "life=mold=10:seed=1",
    "life=seed=3", "cellauto=seed=5", "sierpinski=seed=3", "gradients=seed=7:nb_colors=4",
    "zoneplate=kx2=60:ky2=60:kt=3", "perlin=seed=1",
)  # fmt: skip
QUICK_SIZES = ((64, 36), (192, 108))
SIZES = ((96, 54), (128, 72), (256, 144), (320, 180))
UP, DOWN, ASIDE = "scroll=v=0.01", "scroll=v=-0.01", "scroll=h=0.01"
CREEPING = "scroll=v=0.003"  # the horizontal edges of bars, a line every few frames


def assert_progressive(folder: Path, pattern: str, moved: str, *sizes: tuple[int, int]) -> None:
    for width, height in sizes:
        planes = generated(pattern, 84, width=width, height=height, moved=moved)
        found = analysed(folder, planes)
        assert (width, height, found.interlacing) == (width, height, Interlacing.PROGRESSIVE)
        assert chosen("auto", found) == Deinterlacing()  # so nothing is done to it, either


@pytest.mark.parametrize("moved", ["null", UP])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_progressive_pattern_is_never_called_interlaced(
    tmp_path: Path, pattern: str, moved: str
) -> None:
    assert_progressive(tmp_path, pattern, moved, *QUICK_SIZES)


@pytest.mark.slow
@pytest.mark.parametrize("moved", ["null", "vflip", UP, DOWN, ASIDE, CREEPING])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_progressive_pattern_of_any_size_and_movement_is_never_called_interlaced(
    tmp_path: Path, pattern: str, moved: str
) -> None:
    assert_progressive(tmp_path, pattern, moved, *QUICK_SIZES, *SIZES)


IN_FIELDS = (
    ("testsrc2", "scroll=h=0.02"),
    ("smptebars", "scroll=h=0.02"),
    ("mandelbrot", "scroll=h=0.02"),
    ("cellauto=seed=5", "null"),
    ("perlin=seed=1", "null"),
    ("zoneplate=kx2=60:ky2=60:kt=3", "null"),
)


@pytest.mark.parametrize(
    ("pattern", "moved", "size"),
    [
        *((*made, (128, 72)) for made in IN_FIELDS),
        *(
            pytest.param(*made, (320, 180), marks=() if made[0] == "testsrc2" else pytest.mark.slow)
            for made in IN_FIELDS
        ),
    ],
)
def test_pattern_in_fields_is_called_what_it_is(
    tmp_path: Path, pattern: str, moved: str, size: tuple[int, int]
) -> None:
    planes = generated(pattern, 168, width=size[0], height=size[1], moved=moved)
    truth = {
        Interlacing.TOP_FIELD_FIRST: interlaced(planes),
        Interlacing.BOTTOM_FIELD_FIRST: interlaced(planes, top_first=False),
        Interlacing.TELECINED: telecined(planes[:72]),
    }
    for kind, made in truth.items():
        assert analysed(tmp_path, made).interlacing is kind


def test_pulldown_whose_rhythm_changes_at_every_cut_is_telecined(tmp_path: Path) -> None:
    parts = [telecined(shot(seed, 60, step=(3, 0)))[seed % 5 : 72 + seed % 5] for seed in (1, 3, 4)]
    assert analysed(tmp_path, film(*parts)).interlacing is Interlacing.TELECINED


def test_film_with_pulldown_in_parts_is_mixed(tmp_path: Path) -> None:
    planes = film(shot(2, 144, step=(3, 0)), telecined(shot(3, 120, step=(3, 0)))[:144])
    assert analysed(tmp_path, planes).interlacing is Interlacing.MIXED
