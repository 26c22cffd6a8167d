"""The one way a source is opened in process: safely, and with an answer when it fails.

Only regular files, only through the `file` protocol, and only by demuxers that read audio and
video from that one file. Playlists, picture sequences, subtitles and text art are never given
to libav, which would otherwise open what they name. `open_input` raises InputError only, one
paragraph each; what the file looks like instead of a video is guessed from its first bytes.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from math import log2
from pathlib import Path
from typing import TYPE_CHECKING

from drapto.core.errors import InputError
from drapto.core.opening import VIDEO_STREAMS, decoder_options, file_url, open_options
from drapto.core.words import size
from drapto.infrastructure.ffmpeg import ebml

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel
    from av.container import InputContainer

ELEMENTARY_FORMATS = frozenset(VIDEO_STREAMS.split(",")) - {"avs"}
"""Demuxers of bare video streams, which carry no timestamps of their own."""

_SNIFF_BYTES = 64 * 1024
_HOLE_BYTES = 64 << 20  # at the end: a choice, far more than containers reserve and leave empty

_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"8BPS": "Photoshop",
    b"\x76\x2f\x31\x01": "OpenEXR",
}
_OTHERS = {
    b"PK\x03\x04": "a ZIP archive or office document",
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"SQLite format 3": "a database",
}
_ADDRESS = re.compile(r"(^|/)[A-Za-z][A-Za-z0-9+.-]+:/")  # 'https://…' as a Path writes it
_EBML = b"\x1aE\xdf\xa3"

_ENCRYPTED_BITS_PER_BYTE = 7.99
"""Entropy of 64 KiB of random bytes is 7.997 bits; of compressed video with its headers, less
(7.9 for an H.264 Matroska file); so only files that libav knows nothing about are asked."""


def open_input(path: Path, hwaccel: HWAccel | None = None) -> InputContainer:
    """Open a file for demuxing. The caller closes it. Errors: InputError.

    With `hwaccel`, the device that is to decode, also those of FFmpeg: it is the device that fails.
    """
    import av

    head = check_input(path)
    try:
        return open_container(path, hwaccel)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if hwaccel is not None:
            raise
        if isinstance(error, PermissionError):
            raise InputError(f"{path} cannot be read: permission denied.") from error
        raise refusal(path, head, _detail(error)) from error


def check_input(path: Path) -> bytes:
    """The first bytes of what may be a video, without asking libav. Errors: InputError."""
    _check_readable(path)
    head = _head(path)
    if _is_text(head):
        raise InputError(
            f"{path} is a text file, not a video.",
            hint="Playlists and subtitles are not read; give the video file itself.",
        )
    _check_written(path)
    return head


def open_container(path: Path, hwaccel: HWAccel | None = None) -> InputContainer:
    """The same for a file that this job made itself. Errors: those of `av.open`."""
    import av

    container = av.open(
        file_url(path),
        mode="r",
        options=open_options(),
        metadata_errors="replace",
        hwaccel=hwaccel,
    )
    for stream in container.streams.video:
        if stream.codec_context is not None:  # None for an unknown codec
            stream.codec_context.options = decoder_options()
    return container


def missing_bytes(path: Path) -> int:
    """How many bytes a Matroska file lacks of what its header announces; 0 for other files.

    libavformat reads a file that was cut off without a word.
    """
    there = path.stat().st_size
    with path.open("rb") as file:
        try:
            for ident, at, length in ebml.children(file, 0, there):
                if ident != ebml.HEADER:
                    return max(0, at + length - there) if ident == ebml.SEGMENT else 0
        except ebml.MalformedError:
            return 0
    return 0


def _check_readable(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        hint = "Check the spelling, and that its disk is mounted."
        if _ADDRESS.search(str(path)):
            hint = "It looks like an address. Only files are read: download it first."
        raise InputError(f"{path} does not exist.", hint=hint) from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be looked at: {_reason(error)}.") from error
    if stat.S_ISDIR(mode):
        raise InputError(
            f"{path} is a directory, not a video file.", hint="Name the file inside it."
        )
    if not stat.S_ISREG(mode):
        raise InputError(
            f"{path} is not a regular file (it is {_kind(mode)}), and a source is read "
            "more than once and from many places.",
            hint="Copy it into a file first.",
        )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_SNIFF_BYTES)
    except PermissionError as error:
        raise InputError(
            f"{path} cannot be read: permission denied.",
            hint="Give this user the right to read it.",
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {_reason(error)}.") from error
    if not head:
        raise InputError(f"{path} is empty.", hint="Was its download or copy interrupted?")
    return head


def _check_written(path: Path) -> None:
    """Refuse what a download leaves that took the space first: a beginning, then a hole.

    libav would look through all of the hole, byte by byte, for the next picture.
    """
    with path.open("rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_size < _HOLE_BYTES:
            return
        try:
            os.lseek(file.fileno(), facts.st_size - _HOLE_BYTES, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # lseek(2): no data from there on
                return  # a file system that knows of no holes
        else:
            return
    written_bytes = facts.st_blocks * 512  # stat(2): always of 512 bytes
    raise InputError(
        f"{path} was not written to its end: of its {size(facts.st_size)} no more than "
        f"{size(written_bytes)} are there, and the rest is a hole.",
        hint="Wait until its download or copy is finished, or begin it anew. A hole that belongs "
        "there is filled by `cp --sparse=never`.",
    )


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISFIFO: "a named pipe",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a character device",
        stat.S_ISBLK: "a block device",
    }
    return next((name for test, name in kinds.items() if test(mode)), "something special")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _is_text(head: bytes) -> bool:
    """Printable characters only, in UTF-8 or UTF-16 with a mark; a Y4M header does not count."""
    if head.startswith(b"YUV4MPEG2"):
        return False
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") and b"\x00\x00" not in head:
        try:
            text = head[: len(head) // 2 * 2].decode("utf-16")
        except UnicodeDecodeError:
            return False
    else:
        try:
            text = head.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.start < len(head) - 3:  # not just a character cut in half at the end
                return False
            text = head[: error.start].decode("utf-8")
    return all(char.isprintable() or char in "\t\r\n\f\x1b\ufeff" for char in text)


def refusal(path: Path, head: bytes, detail: str) -> InputError:
    """What to say about a file that begins with `head` and that libav cannot open, as it says
    itself in `detail`."""
    for magic, name in _PICTURES.items():
        if head.startswith(magic):
            return InputError(f"{path} is a still picture ({name}), not a video.")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return InputError(f"{path} is a still picture (WebP), not a video.")
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            return InputError(f"{path} is {name}, not a video.", hint="Unpack it first, if so.")
    if head[4:8] in (b"ftyp", b"mdat", b"moov", b"free", b"wide"):
        return InputError(
            f"{path} is an MP4 or MOV file that cannot be opened: {detail}. Its index "
            "(the moov box) is missing or damaged, as when a copy or a recording was cut off.",
            hint="Copy it again, or repair it with a tool made for that.",
        )
    if head.startswith(_EBML):
        return InputError(
            f"{path} is a Matroska or WebM file that cannot be opened: {detail}. It is "
            "damaged or was cut off near its beginning.",
            hint="Copy it again.",
        )
    if not head.strip(b"\x00"):
        return InputError(
            f"{path} holds nothing but zero bytes at its beginning.",
            hint="It was probably never written to the end: copy or download it again.",
        )
    if len(head) >= 4096 and _bits_per_byte(head) > _limit_bits(len(head)):
        return InputError(
            f"{path} is in no format that is known here, and its bytes look random: it is "
            "probably encrypted.",
            hint="Decrypt it first.",
        )
    return InputError(
        f"{path} is not a video or audio file in any format that is known here ({detail}).",
        hint="If another player can show it, convert it to Matroska first.",
    )


def _detail(error: Exception) -> str:
    """The reason in libav's own words, without the name of the file and the number."""
    words: str = getattr(error, "strerror", None) or str(error)
    log = getattr(error, "log", None)  # (level, component, message) where PyAV kept one
    if log and len(log) == 3 and log[2].strip():
        return f"{words}; {log[2].strip()}"
    return words


def _bits_per_byte(data: bytes) -> float:
    total = len(data)
    return -sum(
        count / total * log2(count / total)
        for count in (data.count(bytes((value,))) for value in range(256))
        if count
    )


def _limit_bits(size: int) -> float:
    """Random data measures lower the less there is: the bias of the plug-in estimator
    (Miller and Madow 1955) is 255 / (2 n ln 2) bits."""
    return _ENCRYPTED_BITS_PER_BYTE - 255 / (2 * size * 0.6931)
