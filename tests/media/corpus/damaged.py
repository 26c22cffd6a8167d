"""Files that are broken, or no video at all."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.media import clips, tracks
from tests.media.clips import ffmpeg, pattern, tone, x264
from tests.media.corpus.entry import Entry, Sound, Truth, even

Change = Callable[[bytearray], bytes | bytearray]

FRAMES, RATE = 48, 24
SPARSE_BYTES = 5 << 30


def film(directory: Path, name: str, *options: str) -> Path:
    """2 s with sound; a key frame every half second, so that damage ends there."""
    out = directory / name
    inputs = (*pattern(FRAMES, size="96x64"), *tone(FRAMES / RATE))
    ffmpeg(*inputs, *x264(keyint=12), "-c:a", "aac", "-b:a", "64k", *options, out)
    return out


def _broken(name: str, change: Change, *options: str, renamed: str = "") -> Callable[[Path], Path]:
    """A builder: the film in a container, its bytes changed."""

    def build(directory: Path) -> Path:
        whole = film(directory, f"whole{Path(name).suffix}", *options)
        out = directory / (renamed or name)
        out.write_bytes(change(bytearray(whole.read_bytes())))
        whole.unlink()
        return out

    return build


def cut(share: float) -> Change:
    return lambda data: data[: int(len(data) * share)]


def hole(begin: float, share: float) -> Change:
    """Zeros in place of some of the bytes."""

    def change(data: bytearray) -> bytearray:
        first, size = int(len(data) * begin), int(len(data) * share)
        data[first : first + size] = bytes(size)
        return data

    return change


def flips(seed: int, number: int, *, begin: float = 0.1, end: float = 1.0) -> Change:
    """Single bits, anywhere between two places."""

    def change(data: bytearray) -> bytearray:
        dice = random.Random(seed)
        for _ in range(number):
            at = dice.randrange(int(len(data) * begin), int(len(data) * end))
            data[at] ^= 1 << dice.randrange(8)
        return data

    return change


def same(data: bytearray) -> bytearray:
    return data


def _of_bytes(name: str, data: bytes) -> Callable[[Path], Path]:
    def build(directory: Path) -> Path:
        path = directory / name
        path.write_bytes(data)
        return path

    return build


def a_directory(directory: Path) -> Path:
    path = directory / "film.mkv"
    path.mkdir()
    (path / "inside.txt").write_text("This is not a film.\n")
    return path


def fifo(directory: Path) -> Path:
    path = directory / "fifo.mkv"
    os.mkfifo(path)
    return path


def _link(name: str, target: str) -> Callable[[Path], Path]:
    def build(directory: Path) -> Path:
        path = directory / name
        path.symlink_to(target)
        return path

    return build


def sparse(directory: Path) -> Path:
    path = directory / "sparse.mkv"
    path.touch()
    os.truncate(path, SPARSE_BYTES)
    return path


def begun(directory: Path) -> Path:
    """What a download leaves that reserved the space first: the beginning, then a hole."""
    path = _broken("begun.mkv", same)(directory)
    os.truncate(path, SPARSE_BYTES)
    return path


def only_a_cover(directory: Path) -> Path:
    path = tracks.music_with_cover(directory)
    return path.rename(directory / "music.mp4")


AAC = Sound("aac", duration_s=2.0)
MP4_AAC = replace(AAC, dispositions=frozenset({"default"}))
WHOLE = Truth("", frames=FRAMES, times_s=even(FRAMES, RATE), width=96, height=64, audio=(AAC,))
NO_VIDEO = Truth("", exit_code=3, videos=0)

FASTSTART = ("-movflags", "+faststart")
UNDECODED = "could not be decoded without errors"


def _hurt(
    name: str,
    what: str,
    make: Callable[[Path], Path],
    shown: Sequence[range],
    *says: str,
    sound: Sound = AAC,
    codec: str = "h264",
) -> Entry:
    """`shown`: the frames of the whole film that can still be shown."""
    times_s = tuple(frame / RATE for part in shown for frame in part)
    truth = replace(WHOLE, what=what, says=says, audio=(sound,), video_codec=codec)
    return Entry(name, make, replace(truth, frames=len(times_s), times_s=times_s))


def _refused(
    name: str, what: str, make: Callable[[Path], Path], *says: str, code: int = 3
) -> Entry:
    return Entry(f"refused_{name}", make, replace(NO_VIDEO, what=what, says=says, exit_code=code))


ENTRIES: tuple[Entry, ...] = (
    _hurt(
        "truncated_mkv",
        "Matroska cut off in the middle.",
        _broken("cut.mkv", cut(0.6)),
        [range(29)],
        "it was cut off",
        sound=replace(AAC, duration_s=1.089),
    ),
    _hurt(
        "truncated_mp4",
        "MP4 cut off in the middle, its list of frames whole.",
        _broken("cut.mp4", cut(0.6), *FASTSTART),
        [range(25), range(26, 27), range(28, 29)],
        "the file was cut off",
        "1 packet torn at the end left out",
        sound=replace(MP4_AAC, duration_s=1.045),
    ),
    _hurt(
        "truncated_ts",
        "MPEG-TS cut off, which has no length to be missed.",
        _broken("cut.ts", cut(0.6)),
        [range(29), range(32, 33)],
        sound=replace(AAC, duration_s=1.024),
    ),
    _hurt(
        "hole_mkv",
        "Zeros in the middle of Matroska.",
        _broken("hole.mkv", hole(0.4, 0.1)),
        [range(19), range(20, 21), range(36, 48)],
        UNDECODED,
    ),
    _hurt(
        "hole_mp4",
        "Zeros in the middle of MP4.",
        _broken("hole.mp4", hole(0.4, 0.1), *FASTSTART),
        [range(17), range(20, 21), range(24, 48)],
        "42 frames decoded where the container has 48",
        sound=MP4_AAC,
    ),
    _hurt(
        "hole_ts",
        "Zeros in the middle of MPEG-TS.",
        _broken("hole.ts", hole(0.4, 0.1)),
        [range(21), range(31, 48)],
        "1 packet marked as damaged",
        UNDECODED,
        sound=replace(AAC, duration_s=2.027),
    ),
    _hurt(
        "flips_mkv",
        "Thirty flipped bits in Matroska.",
        _broken("flips.mkv", flips(1, 30)),
        [range(19), range(20, 34), range(35, 48)],
        "46 frames decoded where the container has 48",
        UNDECODED,
    ),
    _hurt(
        "flips_mkv_few",
        "Three flipped bits in Matroska, where no decoder notices them.",
        _broken("flips.mkv", flips(2, 3)),
        [range(48)],
    ),
    _hurt(
        "flips_mp4",
        "Thirty flipped bits in MP4.",
        _broken("flips.mp4", flips(3, 30, end=0.9)),
        [range(48)],
        UNDECODED,
        sound=MP4_AAC,
    ),
    _hurt(
        "flips_ts",
        "Thirty flipped bits in MPEG-TS.",
        _broken("flips.ts", flips(4, 30)),
        [range(48)],
        UNDECODED,
        sound=replace(AAC, duration_s=2.027),
    ),
    _hurt(
        "flips_avi",
        "Thirty flipped bits in AVI, one of them where the second packet begins.",
        _broken("flips.avi", flips(5, 30, end=0.9), "-c:v", "mpeg4", "-c:a", "mp3"),
        [range(1), range(2, 49)],
        UNDECODED,
        sound=Sound("mp3", duration_s=2.04),
        codec="mpeg4",
    ),
    Entry(
        "wrong_extension_mp4",
        _broken("film.mp4", same, renamed="film.mkv"),
        replace(WHOLE, what="MP4 that is called .mkv.", audio=(MP4_AAC,)),
    ),
    Entry(
        "wrong_extension_mkv",
        _broken("film.mkv", same, renamed="film.txt"),
        replace(WHOLE, what="Matroska that is called .txt."),
    ),
    _refused("empty", "No bytes at all.", _of_bytes("empty.mkv", b""), "is empty"),
    _refused(
        "text",
        "A text file.",
        _of_bytes("notes.mkv", b"This is not a film.\n" * 99),
        "is a text file",
    ),
    _refused(
        "playlist",
        "A playlist that names another file.",
        _of_bytes("list.mkv", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        "is a text file",
    ),
    _refused(
        "noise",
        "Random bytes.",
        _of_bytes("noise.mkv", random.Random(6).randbytes(200_000)),
        "its bytes look random",
    ),
    _refused(
        "header",
        "The first 600 bytes of a film.",
        _broken("head.mkv", lambda data: data[:600]),
        "cut off near its beginning",
    ),
    _refused(
        "lost_index",
        "MP4 cut off before its list of frames.",
        _broken("lost.mp4", cut(0.6)),
        "Its index (the moov box) is missing",
    ),
    _refused("sound_only", "Sound, and no picture.", clips.audio_only, "holds no video"),
    _refused("cover_only", "Music with a cover.", only_a_cover, "only cover art"),
    _refused("directory", "A directory named like a film.", a_directory, "directory", code=2),
    _refused("fifo", "A pipe that nobody writes to.", fifo, "it is a named pipe"),
    _refused("dangling_link", "A link to nothing.", _link("gone.mkv", "no.mkv"), "does not exist"),
    _refused(
        "looping_link", "A link to itself.", _link("loop.mkv", "loop.mkv"), "levels of symbolic"
    ),
    _refused(
        "device", "A device without end.", _link("zero.mkv", "/dev/zero"), "a character device"
    ),
    _refused("sparse_5_gb", "5 GB of nothing.", sparse, "was not written to its end"),
    _refused("begun_5_gb", "A film, then 5 GB of nothing.", begun, "was not written to its end"),
)
