"""What is expected of a film where nobody has measured the encoder: little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from drapto.services.encoding.target_quality.curves import Prior

# A choice: the prior's curves belong to svt-av1, and a film with another encoder on the same scale
# of CRF may lie twice as far from them. What its own first encodes say then counts at once (four
# times the variance); how its scenes differ from each other stays as it is.
WIDER = 4.0
SOURCES = 1.0  # that stand behind such a prior, beside films that were finished with the encoder


def unfamiliar(prior: Prior) -> Prior:
    """`prior` with four times the variance between films."""
    between = WIDER * np.asarray(prior.between)
    return replace(prior, between=tuple(tuple(row) for row in between.tolist()))
