"""What came of trying an encoder on this machine."""

from __future__ import annotations

from drapto.core.media import Value


class EncoderTrial(Value):
    """`problem` is one line, such as 'Cannot load libcuda.so.1'; empty: it works. `is_busy`: it may
    work later, because others have all of its memory or sessions. `said` is all that ffmpeg said.
    """

    encoder: str  # as in --encoder
    problem: str = ""
    is_busy: bool = False
    said: str = ""

    @property
    def works(self) -> bool:
        return not self.problem
