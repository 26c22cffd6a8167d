"""Writes H.264 bit by bit: field-coded pictures, which no encoder at hand produces.

Every macroblock is I_PCM (raw samples), so the whole syntax is headers (ITU-T H.264, 7.3).
"""

from __future__ import annotations

from pathlib import Path

WIDTH_MBS, HEIGHT_MBS = 4, 4  # of the frame; 64x64 luma samples
_SPS, _PPS, _IDR, _SLICE = 0x67, 0x68, 0x65, 0x61


class _Bits:
    def __init__(self) -> None:
        self._text: list[str] = []

    def u(self, value: int, count: int) -> _Bits:
        self._text.append(f"{value:0{count}b}")
        return self

    def ue(self, value: int) -> _Bits:
        digits = f"{value + 1:b}"
        self._text.append("0" * (len(digits) - 1) + digits)
        return self

    def align(self) -> _Bits:
        self._text.append("0" * (-len("".join(self._text)) % 8))
        return self

    def raw(self, data: bytes) -> _Bits:
        self._text.append("".join(f"{byte:08b}" for byte in data))
        return self

    def nal(self, header: int) -> bytes:
        """With the stop bit, the start code and the emulation prevention bytes."""
        text = "".join(self._text) + "1"
        text += "0" * (-len(text) % 8)
        payload = int(text, 2).to_bytes(len(text) // 8, "big")
        out = bytearray()
        zeros = 0
        for byte in payload:
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\x00\x00\x00\x01" + bytes((header,)) + bytes(out)


def field_coded(directory: Path, *, frames: int = 30) -> Path:
    """A bare H.264 stream, 64x64, 25 frames a second, an IDR picture every tenth frame.

    Two of three frames are two field pictures, the third is one frame picture (PAFF). Every
    frame is a flat grey of its own.
    """
    out = directory / "fields.h264"
    data = bytearray()
    for number in range(frames):
        idr = number % 10 == 0
        if idr:
            data += _parameter_sets()
        grey = 20 + number * 5 % 200
        if number % 3 == 2:
            data += _slice(number % 10, idr=idr, field=None, grey=grey)
        else:
            data += _slice(number % 10, idr=idr, field=0, grey=grey)
            data += _slice(number % 10, idr=False, field=1, grey=grey)
    out.write_bytes(bytes(data))
    return out


def _parameter_sets() -> bytes:
    sps = _Bits().u(77, 8).u(0, 8).u(30, 8).ue(0)  # Main profile, level 3
    sps.ue(0).ue(0).ue(4)  # frame_num: 4 bits; order count type 0, 8 bits
    sps.ue(1).u(0, 1).ue(WIDTH_MBS - 1).ue(HEIGHT_MBS // 2 - 1)
    sps.u(0, 1).u(0, 1).u(1, 1).u(0, 1)  # fields allowed, not adaptive within a picture
    sps.u(1, 1).u(0, 4).u(1, 1).u(1, 32).u(50, 32).u(1, 1).u(0, 4)  # timing: 50 fields a second
    pps = _Bits().ue(0).ue(0).u(0, 2).ue(0).ue(0).ue(0).u(0, 3)
    pps.ue(0).ue(0).ue(0).u(0, 3)
    return sps.nal(_SPS) + pps.nal(_PPS)


def _slice(frame_num: int, *, idr: bool, field: int | None, grey: int) -> bytes:
    bits = _Bits().ue(0).ue(7).ue(0).u(frame_num, 4)
    bits.u(0, 1) if field is None else bits.u(1, 1).u(field, 1)
    if idr:
        bits.ue(0)
    bits.u(2 * frame_num + (field or 0), 8)
    bits.u(0, 2) if idr else bits.u(0, 1)
    bits.ue(0)  # slice_qp_delta
    rows = HEIGHT_MBS if field is None else HEIGHT_MBS // 2
    samples = bytes([grey]) * 256 + bytes([128]) * 128
    for _ in range(WIDTH_MBS * rows):
        bits.ue(25).align().raw(samples)  # mb_type I_PCM
    return bits.nal(_IDR if idr else _SLICE)
