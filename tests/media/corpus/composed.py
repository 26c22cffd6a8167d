"""Bars, what lies in them, and brightness that is no cut: luma planes with exact code values."""

from __future__ import annotations

from collections.abc import Callable

from tests.media import film
from tests.media.corpus.entry import Entry, Truth, even
from tests.media.corpus.recipes import composed

_FILM = {"width": film.WIDTH, "height": film.HEIGHT, "video_codec": "ffv1"}
_CROPPED = (192, 72, 0, 18)


def _barred(frames: int = 40, seed: int = 1) -> film.Planes:
    return film.letterbox(film.shot(seed, frames), top=18, bottom=18)


def _imax() -> film.Planes:
    return film.film(_barred(30), film.shot(5, 20), _barred(30, seed=6))


def _with_logo() -> film.Planes:
    planes = _barred(60)
    planes[:, 3:9, 170:184] = 200
    return planes


def _with_subtitles() -> film.Planes:
    planes = _barred(60)
    said = film.with_text(planes[20:40], ["words that are said"], y=105)
    return film.film(planes[:20], said, planes[40:])


def _black_opening() -> film.Planes:
    return film.film(film.blank(24), film.fade(_barred(12), start=0, end=1), _barred(36))


def _flashes() -> film.Planes:
    return film.flash(film.flash(film.shot(8, 60), 20), 40)


def _composed(
    name: str, what: str, planes: Callable[[], film.Planes], frames: int, **truth: object
) -> Entry:
    return Entry(
        name,
        composed(f"{name}.mkv", planes),
        Truth(what, frames=frames, times_s=even(frames, 24), **{**_FILM, **truth}),  # type: ignore[arg-type]
    )


ENTRIES: tuple[Entry, ...] = (
    _composed("letterbox", "Bars above and below.", _barred, 40, crop=_CROPPED, cuts=()),
    _composed(
        "pillarbox",
        "Bars left and right.",
        lambda: film.letterbox(film.shot(2, 40), left=24, right=24),
        40,
        crop=(144, 108, 24, 0),
    ),
    _composed(
        "windowbox",
        "Bars on all four sides.",
        lambda: film.letterbox(film.shot(3, 40), top=12, bottom=12, left=20, right=20),
        40,
        crop=(152, 84, 20, 12),
    ),
    _composed(
        "mixed_aspect",
        "Bars that go away for one scene, as in IMAX films.",
        _imax,
        80,
        cuts=(30, 50),
    ),
    _composed("logo_in_bar", "A station's logo in the upper bar.", _with_logo, 60, crop=_CROPPED),
    _composed(
        "black_opening", "A second of black, then a fade.", _black_opening, 72, crop=_CROPPED
    ),
    _composed("white_flashes", "Two white flashes, and no cut.", _flashes, 60, cuts=()),
    _composed(
        "subtitles_in_bar",
        "Subtitles burnt into the lower bar, which has to stay.",
        _with_subtitles,
        60,
        crop=(192, 88, 0, 18),
    ),
)
