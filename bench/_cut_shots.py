"""Shots for training a cut detector, drawn: there is no cut inside them, but much like one.

They show still pictures of tests/media/film.py under a moving camera, moving things, changing
light, titles; some are drawn on twos, some show another part of the picture before. Into them
comes what is no cut: flashes, strobes, dips to black, whips of the camera, damaged frames,
somebody passing in front.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.media import film as parts

Planes = npt.NDArray[np.uint8]
Random = np.random.Generator

FRAMES = (18, 60)  # of a shot


def draw(rng: Random, width: int, height: int, last: Planes | None) -> Planes:
    """One shot; `last` is the frame that it follows, of which it may show another part."""
    frames = int(rng.integers(*FRAMES))
    if last is not None and last.std() > 20 and rng.random() < 0.06:
        planes = _closer(rng, last, frames)
    else:
        kind = str(rng.choice(list(_KINDS), p=_SHARES))
        planes = _lit(rng, _KINDS[kind](rng, frames, width, height))
    if rng.random() < 0.12:  # drawn on twos or threes
        held = int(rng.integers(2, 4))
        planes = planes[np.arange(frames) // held * held]
    return _disturbed(rng, planes)


def _still(rng: Random, width: int, height: int) -> Planes:
    return parts.texture(int(rng.integers(1 << 31)), width, height)


def _camera(
    rng: Random, frames: int, width: int, height: int, still: Planes, reach: float = 1.0
) -> Planes:
    """A camera over a still: it pans, zooms, turns and shakes, by up to `reach` of the usual."""
    rows, columns = still.shape
    pan = rng.normal(0, 1.2 * reach, 2) * (rng.random() < 0.7)
    zoom = 1 + rng.normal(0, 0.006 * reach) * (rng.random() < 0.5)
    turn = rng.normal(0, 0.4 * reach) * (rng.random() < 0.25)
    shake = abs(rng.normal(0, 1.0 * reach)) * (rng.random() < 0.35)
    wander = cv2.blur(rng.normal(0, 1, (frames, 2)).astype(np.float32), (1, 3)) * shake
    planes = []
    for i in range(frames):
        matrix = cv2.getRotationMatrix2D((columns / 2, rows / 2), turn * i, zoom**i)
        matrix[:, 2] += (width - columns) / 2, (height - rows) / 2
        matrix[:, 2] += pan * i + wander[i]
        planes.append(
            cv2.warpAffine(still, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)
        )
    return np.stack(planes).astype(np.uint8)


def _view(rng: Random, frames: int, width: int, height: int) -> Planes:
    return _camera(rng, frames, width, height, _still(rng, width * 2, height * 2))


def _fast_view(rng: Random, frames: int, width: int, height: int) -> Planes:
    still = _still(rng, width * 3, height * 3)
    planes = _camera(rng, frames, width, height, still, float(rng.uniform(3, 8)))
    blur = int(rng.integers(1, 8))
    return np.stack([cv2.blur(plane, (blur, 1)) for plane in planes]).astype(np.uint8)


def _moving_things(rng: Random, frames: int, width: int, height: int) -> Planes:
    """Things cross the picture, some of them large and fast, each with its own texture."""
    planes = _camera(rng, frames, width, height, _still(rng, width * 2, height * 2), 0.4).copy()
    for _ in range(int(rng.integers(1, 6))):
        wide = int(width * rng.uniform(0.1, 0.7))
        high = int(height * rng.uniform(0.15, 0.9))
        thing = _still(rng, max(wide, 30), max(high, 24))[:high, :wide]
        mask = np.zeros((high, wide), np.uint8)
        cv2.ellipse(mask, ((wide / 2, high / 2), (wide, high), 0), 255, -1)
        place = rng.uniform(-0.2, 1, 2) * (width, height)
        speed = rng.normal(0, width * float(rng.choice([0.01, 0.03, 0.08])), 2) * (1, 0.4)
        for i, plane in enumerate(planes):
            x, y = (place + speed * i).astype(int)
            left, top = max(x, 0), max(y, 0)
            right, bottom = min(x + wide, width), min(y + high, height)
            if right > left and bottom > top:
                inside = np.s_[top - y : bottom - y, left - x : right - x]
                cv2.copyTo(thing[inside], mask[inside], plane[top:bottom, left:right])
    return planes


def _water(rng: Random, frames: int, width: int, height: int) -> Planes:
    """Clouds of light that form and go: fire, water, smoke, leaves."""
    ground = _still(rng, width, height).astype(np.float32)
    cells, pace = int(rng.integers(3, 24)), float(rng.uniform(2, 14))
    strength = float(rng.uniform(0.1, 0.8))
    count = int(frames / pace) + 2
    clouds = rng.uniform(20, 235, (count, max(2, cells // 2), cells)).astype(np.float32)
    planes = []
    for i in range(frames):
        number, share = divmod(i / pace, 1)
        between = clouds[int(number)] * (1 - share) + clouds[int(number) + 1] * share
        cloud = cv2.resize(between, (width, height), interpolation=cv2.INTER_CUBIC)
        planes.append(ground * (1 - strength) + cloud * strength)
    return np.clip(np.stack(planes), 0, 255).astype(np.uint8)


def _titles(rng: Random, frames: int, width: int, height: int) -> Planes:
    ground = parts.blank(frames, int(rng.choice([16, 16, 40, 90, 200])), width=width, height=height)
    letters = np.array(list("abcdefghi klmnop"))
    lines = ["".join(rng.choice(letters, int(rng.integers(4, 20)))) for _ in range(8)]
    rolls = rng.random() < 0.5
    shown = lines if rolls else lines[: int(rng.integers(1, 5))]
    y = height if rolls else int(height * rng.uniform(0.3, 0.7))
    step = -float(rng.uniform(0.3, 2)) if rolls else 0
    return parts.with_text(ground, shown, y=y, step_y=step, x=int(rng.integers(2, width // 3)))


def _closer(rng: Random, last: Planes, frames: int) -> Planes:
    """Another framing of the picture before: a jump cut."""
    height, width = last.shape
    scale = float(rng.uniform(0.35, 0.6))
    wide, high = int(width * scale), int(height * scale)
    x, y = int(rng.integers(0, width - wide + 1)), int(rng.integers(0, height - high + 1))
    closer = cv2.resize(last[y : y + high, x : x + wide], (width * 2, height * 2))
    return _camera(rng, frames, width, height, closer.astype(np.uint8), 0.5)


_Kind = Callable[[Random, int, int, int], Planes]
_KINDS: dict[str, _Kind] = {
    "view": _view,
    "fast view": _fast_view,
    "moving things": _moving_things,
    "water": _water,
    "titles": _titles,
}
_SHARES = (0.38, 0.1, 0.34, 0.13, 0.05)


def _lit(rng: Random, planes: Planes) -> Planes:
    """Dark, pale or bright, as scenes are."""
    contrast = float(rng.choice([1, 1, 1, 0.8, 0.8, 0.6, 0.4, 0.25]))
    level = float(rng.uniform(25, 200 - 90 * contrast))
    return _clipped((planes - np.float32(120)) * np.float32(contrast) + np.float32(level))


# --- what happens inside a shot ---------------------------------------------------------------


def _disturbed(rng: Random, planes: Planes) -> Planes:
    at = int(rng.integers(2, max(3, len(planes) - 8)))
    kind = rng.choice(list(_EVENTS), p=_EVENT_SHARES)
    return _EVENTS[str(kind)](rng, planes.copy(), at)


def _nothing(rng: Random, planes: Planes, at: int) -> Planes:
    return planes


def _flash(rng: Random, planes: Planes, at: int) -> Planes:
    for i in range(at, min(at + int(rng.integers(1, 6)), len(planes))):
        planes = parts.flash(planes, i, 1, float(rng.uniform(0.3, 1)))
    return planes


def _strobe(rng: Random, planes: Planes, at: int) -> Planes:
    period = int(rng.integers(2, 7))
    for start in range(at, len(planes) - 3, period):
        planes = parts.flash(planes, start, max(1, period // 2), float(rng.uniform(0.4, 1)))
    return planes


def _dip(rng: Random, planes: Planes, at: int) -> Planes:
    half = int(rng.integers(0, 6))
    gain = np.concatenate([np.linspace(0.8, 0, half), [0.0], np.linspace(0, 0.8, half)])
    end = min(at + len(gain), len(planes))
    dimmed = (planes[at:end] - 16.0) * gain[: end - at, None, None] + 16
    planes[at:end] = _clipped(dimmed)
    return planes


def _lights(rng: Random, planes: Planes, at: int) -> Planes:
    gain = float(rng.choice([0.25, 0.5, 0.7, 1.3, 1.7]))
    planes[at:] = _clipped((planes[at:] - 16.0) * gain + 16)
    return planes


def _whip(rng: Random, planes: Planes, at: int) -> Planes:
    """The camera sweeps away from the last picture, with motion blur, and rests elsewhere."""
    height, width = planes.shape[1:]
    mirrored = cv2.flip(planes[at], 1)
    wide = np.concatenate([planes[at], mirrored, planes[at]], axis=1)
    wide = cv2.blur(wide, (1, 3))
    wide[:, width:] = cv2.addWeighted(
        wide[:, width:], 0.5, cv2.resize(_still(rng, width, height), (2 * width, height)), 0.5, 0
    )
    step = int(rng.integers(width // 16, width // 5))
    for i in range(at, len(planes)):
        x = min((i - at) * step, 2 * width)
        window = wide[:, x : x + width]
        planes[i] = cv2.blur(window, (max(1, step // 2), 1)) if x < 2 * width else window
    return planes


def _damage(rng: Random, planes: Planes, at: int) -> Planes:
    """A frame or two come out wrong, then the picture is back."""
    length = int(rng.integers(1, 3))
    height, width = planes.shape[1:]
    first = int(rng.integers(0, height // 2))
    for i in range(at, min(at + length, len(planes))):
        planes[i, first:] = np.roll(planes[i, first:], width // 3, axis=1)
        if rng.random() < 0.4:
            planes[i, first:] = 128
    return planes


def _passing(rng: Random, planes: Planes, at: int) -> Planes:
    """Something near the camera covers nearly all of the picture for some frames."""
    height, width = planes.shape[1:]
    thing, step = _lit(rng, _still(rng, width, height)), width * float(rng.uniform(0.12, 0.5))
    for i in range(at, len(planes)):
        x = int((i - at + 1) * step) - width
        if x >= width:
            break
        left, right = max(x, 0), min(x + width, width)
        planes[i, :, left:right] = thing[:, left - x : right - x]
    return planes


_Event = Callable[[Random, Planes, int], Planes]
_EVENTS: dict[str, _Event] = {
    "nothing": _nothing,
    "flash": _flash,
    "strobe": _strobe,
    "dip": _dip,
    "lights": _lights,
    "whip": _whip,
    "damage": _damage,
    "passing": _passing,
}
_EVENT_SHARES = (0.34, 0.14, 0.07, 0.08, 0.08, 0.13, 0.06, 0.1)


def _clipped(planes: npt.NDArray[np.floating]) -> Planes:
    return np.clip(planes, 0, 255).astype(np.uint8)
