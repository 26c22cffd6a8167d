"""What a crop takes from a picture, side by side."""

from __future__ import annotations

from drapto.core.media import CropRect, Value


class CropBorder(Value):
    """Pixels taken from each side, and the size of what remains."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int

    @classmethod
    def of(cls, crop: CropRect, source_width: int, source_height: int) -> CropBorder:
        return cls(
            left=crop.x,
            top=crop.y,
            right=max(0, source_width - crop.x - crop.width),
            bottom=max(0, source_height - crop.y - crop.height),
            width=crop.width,
            height=crop.height,
        )
