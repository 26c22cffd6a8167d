"""The clock of an MPEG-TS moved: every timestamp by as much, and not a byte else."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import av
import numpy as np
import pytest

from drapto.core.errors import InputError
from drapto.infrastructure.ffmpeg import transport_stream
from drapto.infrastructure.ffmpeg.transport_stream import CLOCK_TICKS, move_clock, packet_size
from tests.media.joined import join, part

HOUR = 3600 * 90_000
BODY = 188


def packets(path: Path) -> dict[int, list[tuple[int | None, int | None, bytes]]]:
    """(pts, dts, bytes) of every packet, by stream."""
    found: dict[int, list[tuple[int | None, int | None, bytes]]] = defaultdict(list)
    with av.open(f"file:{path}") as container:
        for packet in container.demux():
            if packet.size:
                assert not packet.is_corrupt
                found[packet.stream_index].append((packet.pts, packet.dts, bytes(packet)))
    return found


def pcr(path: Path) -> list[tuple[int, int]]:
    """(90 kHz base, remainder) of every program clock reference."""
    data = path.read_bytes()
    found = []
    for at in range(0, len(data), BODY):
        if data[at + 3] & 0x20 and data[at + 4] and data[at + 5] & 0x10:
            bits = int.from_bytes(data[at + 6 : at + 12], "big")
            found.append((bits >> 15, bits & 0x1FF))
    return found


def test_every_timestamp_is_moved_and_no_payload_changed(tmp_path: Path) -> None:
    source, moved = part(tmp_path, bframes=3), tmp_path / "moved.ts"
    move_clock(source, moved, [(0, HOUR)])
    before, after = packets(source), packets(moved)
    assert len(before) == 2
    for index, rows in before.items():
        wanted = [((pts or 0) + HOUR, (dts or 0) + HOUR, data) for pts, dts, data in rows]
        assert after[index] == wanted
    assert pcr(moved) == [(base + HOUR, rest) for base, rest in pcr(source)]


@pytest.mark.parametrize("ticks", [HOUR, -HOUR, CLOCK_TICKS // 2 + 1, 0x1_5555_5555])
def test_moving_there_and_back_gives_the_same_bytes(ticks: int, tmp_path: Path) -> None:
    source, there, back = part(tmp_path), tmp_path / "there.ts", tmp_path / "back.ts"
    move_clock(source, there, [(0, ticks)])
    move_clock(there, back, [(0, -ticks)])
    assert there.read_bytes() != source.read_bytes()
    assert back.read_bytes() == source.read_bytes()


def test_what_stands_before_the_offset_stays(tmp_path: Path) -> None:
    source, moved = part(tmp_path), tmp_path / "moved.ts"
    data = source.read_bytes()
    middle = len(data) // 2 // BODY * BODY
    move_clock(source, moved, [(middle, HOUR)])
    assert moved.read_bytes()[:middle] == data[:middle]
    assert moved.read_bytes()[middle:] != data[middle:]
    assert moved.stat().st_size == len(data)


def test_continuity_counters_go_on_at_a_join(tmp_path: Path) -> None:
    one = part(tmp_path)
    source, moved = join(one, one), tmp_path / "moved.ts"
    move_clock(source, moved, [(one.stat().st_size, 0)])
    data = np.frombuffer(moved.read_bytes(), dtype=np.uint8).reshape(-1, BODY)
    pids = (data[:, 1].astype(int) & 0x1F) << 8 | data[:, 2]
    for pid in np.unique(pids):
        rows = data[(pids == pid) & (data[:, 3] & 0x10 != 0)]
        counters = rows[:, 3].astype(int) & 15
        assert set(np.diff(counters) % 16) <= {1}, pid
    assert sum(map(len, packets(moved).values())) > 100  # and none of them marked as damaged


@pytest.mark.parametrize("torn", [0, 1, 100, 187])
def test_packets_out_of_step_behind_a_torn_one_are_found(torn: int, tmp_path: Path) -> None:
    one, two = part(tmp_path), part(tmp_path, "2.ts", bframes=2)
    source, moved = tmp_path / "torn.ts", tmp_path / "moved.ts"
    first = one.read_bytes() + one.read_bytes()[:torn]
    source.write_bytes(first + two.read_bytes())
    move_clock(source, moved, [(len(first), HOUR)])
    alone, whole = tmp_path / "alone.ts", tmp_path / "whole.ts"
    alone.write_bytes(moved.read_bytes()[len(first) :])
    move_clock(two, whole, [(0, HOUR)])
    assert packets(alone) == packets(whole)


def test_chunks_cut_through_packets_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, at_once, in_parts = part(tmp_path), tmp_path / "1.ts", tmp_path / "2.ts"
    middle = source.stat().st_size // 2
    move_clock(source, at_once, [(middle, HOUR)])
    monkeypatch.setattr(transport_stream, "_CHUNK_BYTES", 3001)
    move_clock(source, in_parts, [(middle, HOUR)])
    assert in_parts.read_bytes() == at_once.read_bytes()


@pytest.mark.parametrize("size", [188, 192, 204])
def test_packets_of_every_size_are_moved(size: int, tmp_path: Path) -> None:
    """192: four bytes before each packet, as M2TS has them. 204: sixteen behind each."""
    plain, wide = part(tmp_path), tmp_path / "wide.ts"
    rows = np.frombuffer(plain.read_bytes(), dtype=np.uint8).reshape(-1, BODY)
    before = 4 if size == 192 else 0
    shaped = np.pad(rows, ((0, 0), (before, size - BODY - before)), constant_values=0xA5)
    wide.write_bytes(shaped.tobytes())
    assert packet_size(np.frombuffer(wide.read_bytes(), dtype=np.uint8)) == size
    moved = tmp_path / "moved.ts"
    move_clock(wide, moved, [(0, HOUR)])
    after = np.frombuffer(moved.read_bytes(), dtype=np.uint8).reshape(-1, size)
    wanted = tmp_path / "wanted.ts"
    move_clock(plain, wanted, [(0, HOUR)])
    assert after[:, before : before + BODY].tobytes() == wanted.read_bytes()
    assert (np.delete(after, np.s_[before : before + BODY], axis=1) == 0xA5).all()


def test_a_file_without_packets_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "none.ts"
    source.write_bytes(bytes(10_000))
    with pytest.raises(InputError, match="told apart"):
        move_clock(source, tmp_path / "out.ts", [(0, 1)])
