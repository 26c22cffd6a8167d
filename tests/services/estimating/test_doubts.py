from __future__ import annotations

import pytest

from drapto.core.estimate import Range
from drapto.core.job import EncodeOptions
from drapto.core.routing import Mode, Route, RoutedStage, Side
from drapto.services.estimating.doubts import doubts_about_routes, doubts_about_saving


def route(stage: RoutedStage, primary: Side) -> Route:
    return Route(stage=stage, primary=primary, mode=Mode.LEGACY, reason="a test")


def test_stages_that_legacy_scripts_would_serve_are_named() -> None:
    assert doubts_about_routes([route(stage, Side.NEW) for stage in RoutedStage]) == ()
    (said,) = doubts_about_routes(
        [
            route(RoutedStage.DETECTION, Side.LEGACY),
            route(RoutedStage.SEGMENTATION, Side.NEW),
            route(RoutedStage.ENCODING, Side.LEGACY),
        ]
    )
    assert "detection and encoding" in said


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(None, None), (60.0, None), (59.0, "may"), (40.0, "may"), (39.0, "would")],
)
def test_an_encode_that_would_save_too_little_is_named(
    percent: float | None, expected: str | None
) -> None:
    options = EncodeOptions(max_size_percent=percent)
    said = doubts_about_saving(options, 1000, Range(low=400, likely=500, high=600))
    assert bool(said) == (expected is not None)
    if expected is not None:
        assert f"the encode {expected} be given up" in said[0]
