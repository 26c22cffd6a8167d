"""Target quality: which segment to encode next, at which CRF, and when to stop.

Pure: `controller.py` says how it is driven. docs/target-quality.md says what it promises.
"""

from drapto.core.quality import Pool, SegmentQuality
from drapto.services.encoding.target_quality.controller import Controller
from drapto.services.encoding.target_quality.curves import Prior
from drapto.services.encoding.target_quality.film import Attempt, Piece, complexity
from drapto.services.encoding.target_quality.goal import Goal
from drapto.services.encoding.target_quality.learning import FinishedFilm, learnt
from drapto.services.encoding.target_quality.ordinary import ORDINARY
from drapto.services.encoding.target_quality.presets import ordinary
from drapto.services.encoding.target_quality.single import single_crf
from drapto.services.encoding.target_quality.steps import (
    Done,
    Encode,
    Outcome,
    Step,
    Stop,
    Wait,
    Why,
)
from drapto.services.encoding.target_quality.unfamiliar import SOURCES, unfamiliar

__all__ = [
    "ORDINARY",
    "SOURCES",
    "Attempt",
    "Controller",
    "Done",
    "Encode",
    "FinishedFilm",
    "Goal",
    "Outcome",
    "Piece",
    "Pool",
    "Prior",
    "SegmentQuality",
    "Step",
    "Stop",
    "Wait",
    "Why",
    "complexity",
    "learnt",
    "ordinary",
    "single_crf",
    "unfamiliar",
]
