"""From per-frame numbers and cuts to scenes, and runs of black frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from drapto.core.analysis import Scene
from drapto.core.features import Bool

Floats = npt.NDArray[np.float32]


def scenes(
    cuts: Sequence[int], *, spatial: Floats, temporal: Floats, mean: Floats
) -> tuple[Scene, ...]:
    """Scenes that cover every frame once. The arrays hold one number per frame.

    A scene's temporal complexity leaves out its first frame, whose difference is the cut.
    """
    bounds = [0, *cuts, len(mean)]
    return tuple(
        scene(start, spatial=spatial[start:end], temporal=temporal[start:end], mean=mean[start:end])
        for start, end in pairwise(bounds)
    )


def scene(start: int, *, spatial: Floats, temporal: Floats, mean: Floats) -> Scene:
    """The scene that begins at `start`; the arrays are of its frames alone."""
    steps = temporal[1:]
    return Scene(
        start=start,
        end=start + len(mean),
        spatial_complexity=round(float(spatial.mean()), 3),
        temporal_complexity=round(float(steps.mean()), 3) if len(steps) else 0.0,
        mean_luma=round(float(mean.mean()), 3),
    )


def runs(marked: Bool) -> tuple[tuple[int, int], ...]:
    """[start, end) of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], marked.astype(np.int8), [0]))))
    return tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))
