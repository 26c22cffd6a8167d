"""Bytes read and written bit by bit, the highest bit first, as video standards lay them out.

    reader = BitReader(data)
    width = reader.bits(16)

What is read can be written back: `BitWriter` has the counterpart of every method. Reading past
the end, and a code that is none, raise BitsError and nothing else.
"""

from __future__ import annotations

_LONGEST_CODE_BITS = 32  # ITU-T H.265, 9.2: no Exp-Golomb code has more leading zeros


class BitsError(ValueError):
    """The data ends too early, or holds what its standard does not allow."""


class BitReader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def position(self) -> int:
        """Bits read so far."""
        return self._position

    @property
    def left(self) -> int:
        """Bits still to be read."""
        return 8 * len(self._data) - self._position

    def bits(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        if count > self.left:
            raise BitsError(f"the data ends {count - self.left} bits too early")
        start, end = self._position, self._position + count
        chunk = int.from_bytes(self._data[start // 8 : -(-end // 8)], "big")
        self._position = end
        return chunk >> (-end % 8) & ((1 << count) - 1)

    def flag(self) -> bool:
        return bool(self.bits(1))

    def octets(self, count: int) -> bytes:
        """The next `count` whole bytes, wherever they begin."""
        return self.bits(8 * count).to_bytes(count, "big")

    def code(self) -> int:
        """ue(v): an unsigned Exp-Golomb code (ITU-T H.265, 9.2). A signed one, se(v), is the
        same bits."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > _LONGEST_CODE_BITS:
                raise BitsError("no Exp-Golomb code")
        return (1 << zeros) - 1 + self.bits(zeros)

    def align(self) -> None:
        """Skip to the next whole byte, over zero bits only."""
        if self.bits(-self._position % 8):
            raise BitsError("bits that fill up a byte are not zero")


class BitWriter:
    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0

    def bits(self, value: int, count: int) -> None:
        """Errors: BitsError if `value` does not fit into `count` bits."""
        if not 0 <= value < 1 << count:
            raise BitsError(f"{value} does not fit into {count} bits")
        if count:
            self._parts.append(f"{value:0{count}b}")
            self._length += count

    def flag(self, value: bool) -> None:
        self.bits(int(value), 1)

    def octets(self, data: bytes) -> None:
        self.bits(int.from_bytes(data, "big"), 8 * len(data))

    def code(self, value: int) -> None:
        """ue(v), as BitReader.code reads it."""
        digits = (value + 1).bit_length()
        self.bits(0, digits - 1)
        self.bits(value + 1, digits)

    def align(self, fill: int = 0) -> None:
        """Fill up the last byte with zeros, or with ones."""
        missing = -self._length % 8
        self.bits(fill * ((1 << missing) - 1), missing)

    def data(self) -> bytes:
        """Everything written, filled up with zeros to a whole byte."""
        self.align()
        text = "".join(self._parts)
        return int(text, 2).to_bytes(self._length // 8, "big") if text else b""
