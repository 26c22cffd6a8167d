"""What a job may take of the machine: values and pure planning, no measuring.

`infrastructure/machine.py` says what there is, `infrastructure/resources.py` hands it out.
"""

from __future__ import annotations

import errno
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MIB = 1024 * 1024

_PIXELS = (854 * 480, 1280 * 720, 1920 * 1080, 3840 * 2160)
_PEAK_MIB = {
    1: (248, 454, 827, 2939),
    2: (402, 740, 1412, 4934),
    4: (565, 1050, 1880, 6656),
}
"""Peak resident MiB of one ffmpeg worker by picture size and lp, decoder included.

Measured 2026-11-21 on 4 cores with the ffmpeg 9.0 of imageio-ffmpeg 0.8.1 (SVT-AV1 4.2) on 240
frames, a whole keyint, of `testsrc2` scaled up, with `noise=alls=12:allf=t`, stored as H.264
8-bit: `ffmpeg -i clip.mkv -pix_fmt yuv420p10le -c:v libsvtav1 -preset 6 -crf 30
-svtav1-params lp=N:keyint=240 -f null -`, ru_maxrss of the child, the highest of two or three
runs. 120 frames reach 0.90 to 1.0 of it, 60 frames 0.7.
"""

_OWN_MIB = 120
_OWN_MIB_PER_MEGAPIXEL = 83
"""What Drapto itself takes: 147 MiB at 480p, 267 at 1080p, 783 at 2160p were measured for whole
encodes (2026-11-21, ru_maxrss of the process itself). Detection's decoder takes most of it."""

BUSY_CORES = {1: 1.05, 2: 2.7, 4: 3.5}
"""CPU time divided by wall time of one such worker that has the machine to itself."""

MEMORY_MARGIN = 1.15
"""Content differs: film-like clips took 0.85 to 1.02 of the table, large motion takes more."""


@dataclass(frozen=True)
class WorkerPlan:
    """How many segment workers run at once, and SVT-AV1's level of parallelism for each."""

    workers: int
    lp: int
    memory_bytes: int  # that one worker is expected to take
    reason: str  # one plain sentence


@dataclass(frozen=True)
class ResourceStatistics:
    """A snapshot of who holds what."""

    cpu_capacity: int
    cpu_in_use: int
    cpu_peak: int
    memory_capacity_bytes: int
    memory_in_use_bytes: int
    memory_peak_bytes: int
    disk_capacity_bytes: int
    disk_in_use_bytes: int
    disk_peak_bytes: int
    device_capacity_bytes: int  # of the one device that is used; 0 without one
    device_in_use_bytes: int
    device_peak_bytes: int
    decoders_in_use: int  # sessions of the device's engines
    decoders_peak: int
    encoders_in_use: int
    encoders_peak: int
    holders: int  # requests granted and not yet given back
    waiting: int
    granted: int  # requests granted so far
    leaks: int  # found so far


@dataclass(frozen=True)
class Leaks:
    """What was still there at the end of a job, though nothing should be."""

    slots: int = 0  # requests never given back
    processes: tuple[str, ...] = ()  # "1234 ffmpeg"
    open_files: tuple[str, ...] = ()
    temporary_files: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return self.slots + len(self.processes) + len(self.open_files) + len(self.temporary_files)

    def __str__(self) -> str:
        found = [f"{self.slots} slots still held"] if self.slots else []
        for what, names in (
            ("child processes alive", self.processes),
            ("files still open", self.open_files),
            ("temporary files left", self.temporary_files),
        ):
            if names:
                found.append(f"{len(names)} {what} ({', '.join(names[:5])})")
        return "; ".join(found) or "nothing leaked"


def estimate_worker_memory(width: int, height: int, lp: int) -> int:
    """Bytes one worker takes at this picture size before any has been observed.

    Straight lines between the measured sizes, the last of them carried on beyond; an lp that
    was not measured counts as the next one above, more than 4 as 4 (SVT-AV1 gains little there).
    """
    table = _PEAK_MIB[_measured_lp(lp)]
    pixels = width * height
    right = min(max(bisect_right(_PIXELS, pixels), 1), len(_PIXELS) - 1)
    low, high = _PIXELS[right - 1], _PIXELS[right]
    slope = (table[right] - table[right - 1]) / (high - low)
    floor_mib = table[0] / 2  # what stays however small the picture is
    mib = max(floor_mib, table[right - 1] + slope * (pixels - low))
    return int(mib * MEMORY_MARGIN * MIB)


_DEVICE_MIB = 512
_DEVICE_BYTES_PER_PIXEL = 60
"""What detection on a device is taken to need before any of it was measured: CUDA's and torch's own
share, and for each pixel of a frame the surfaces of a decoder (20 of 1.5 samples of 2 bytes: H.264
may refer back to 16 frames). Not measured: meant to be too much."""


def estimate_device_memory(pixels: int, batch: int) -> int:
    """Bytes of a device's memory for frames of so many pixels, `batch` of them held at once."""
    per_pixel = _DEVICE_BYTES_PER_PIXEL + 4 * batch  # a plane and what it is computed in
    return _DEVICE_MIB * MIB + per_pixel * pixels


def own_memory_bytes(width: int, height: int) -> int:
    """Bytes that Drapto's own process takes beside its workers."""
    return int((_OWN_MIB + _OWN_MIB_PER_MEGAPIXEL * width * height / 1e6) * MIB)


def plan_workers(
    *,
    cores: int,
    width: int,
    height: int,
    memory_bytes: int,
    segments: int | None = None,
    workers: int | None = None,
) -> WorkerPlan:
    """How many workers, and which lp. Pure.

    `memory_bytes` is for the workers and Drapto itself. `workers` is the user's own wish and is
    kept. `segments` None: not known yet, many.

    Of all plans that keep the most cores busy the one with the lowest lp is taken: at lp=1 a
    segment takes a tenth less CPU time than at lp=2 and a sixth less than at lp=4 (480p,
    preset 6: 5.6, 6.2 and 6.6 s), and 0.65 of the memory. lp does not change the bytes. So a film
    of many segments gets one worker of lp=1 per core; few segments get fewer workers of a
    higher lp.
    """
    if workers is not None:
        return _plan(max(1, workers), cores, width, height, "as asked for")
    most = cores if segments is None else max(1, min(cores, segments))
    ideal = _plan(most, cores, width, height, "one per core" if most == cores else _only(most))
    for_workers = max(0, memory_bytes - own_memory_bytes(width, height))
    if ideal.workers * ideal.memory_bytes <= for_workers:
        return ideal
    return _plan_for_memory(cores, width, height, for_workers, most)


def _only(segments: int) -> str:
    return "there is only 1 segment" if segments == 1 else f"there are only {segments} segments"


def _plan(workers: int, cores: int, width: int, height: int, reason: str) -> WorkerPlan:
    """So many workers, of the lowest lp that keeps the most cores busy."""
    lp = max(sorted(BUSY_CORES), key=lambda lp: busy_cores(workers, lp, cores))
    memory = estimate_worker_memory(width, height, lp)
    return WorkerPlan(workers=workers, lp=lp, memory_bytes=memory, reason=reason)


def _plan_for_memory(
    cores: int, width: int, height: int, memory_bytes: int, most: int
) -> WorkerPlan:
    """The workers and lp that keep most cores busy within `memory_bytes`; one worker at least."""
    choices = []
    for lp in sorted(BUSY_CORES):  # of equals the first is taken
        memory = estimate_worker_memory(width, height, lp)
        workers = min(most, memory_bytes // memory)
        choices.append((busy_cores(workers, lp, cores), workers, lp, memory))
    _, workers, lp, memory = max(choices, key=lambda choice: choice[0])
    free_gib = memory_bytes / 1024**3
    if workers == 0:
        memory = estimate_worker_memory(width, height, 1)
        reason = f"even one may not fit into {free_gib:.1f} GiB of memory"
        return WorkerPlan(workers=1, lp=1, memory_bytes=memory, reason=reason)
    reason = f"{memory / 1024**3:.1f} GiB each is what fits into {free_gib:.1f} GiB of memory"
    return WorkerPlan(workers=workers, lp=lp, memory_bytes=memory, reason=reason)


def busy_cores(workers: int, lp: int, cores: int) -> float:
    """Cores that so many workers keep busy; there are no more than `cores`."""
    return min(workers * BUSY_CORES[lp], cores)


def _measured_lp(lp: int) -> int:
    return next((known for known in sorted(_PEAK_MIB) if known >= lp), max(_PEAK_MIB))


DISK_BYTES_PER_SOURCE_BYTE = 1.0
"""Room a job is expected to need in the work directory, for each byte of the source.

The segments and the assembled file exist side by side. AV1 that saves half, the least that
makes encoding worth while, fills exactly the source's size with the two; during the job the
disk guard watches what really happens.
"""


def needed_disk_bytes(source_bytes: int, already_there_bytes: int = 0) -> int:
    """Free bytes a job should find before it starts; a resumed one has some of them already."""
    return max(0, int(source_bytes * DISK_BYTES_PER_SOURCE_BYTE) - already_there_bytes)


OUT_OF_FILES_HINTS: Mapping[int, str] = MappingProxyType(
    {
        errno.EMFILE: "Raise the limit of open files (ulimit -n).",
        errno.ENFILE: "End other programs, or raise the machine's limit (sysctl fs.file-max).",
    }
)
"""What to do where no more files can be opened, by errno(3): one process, or all of the machine."""


# strerror(3) of ENOSPC, EDQUOT and EFBIG, as ffmpeg and every other C program prints them.
_DISK_FULL_TEXTS = (
    "no space left on device",
    "disk quota exceeded",
    "file too large",
    "file size limit exceeded",  # what a shell says of a program that `ulimit -f` ended
)


# What C programs print for ENOMEM, for a thread that could not be started (EAGAIN), and what
# SVT-AV1, the C++ of other encoders, and NVENC with all sessions taken (ffmpeg's name for
# NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY; else it says 'out of memory') say.
_NO_MEMORY_TEXTS = (
    "cannot allocate memory",
    "pthread_create() failed",
    "out of memory",
    "insufficient resources",
    "std::bad_alloc",
    "incompatible client key",
)


def looks_like_no_memory(text: str) -> bool:
    """True if a child's stderr says that it got no memory, or no thread."""
    lowered = text.lower()
    return any(message in lowered for message in _NO_MEMORY_TEXTS)


def looks_like_disk_full(text: str) -> bool:
    """True if a child's stderr says that the disk, the quota or the file size is at its end."""
    lowered = text.lower()
    return any(message in lowered for message in _DISK_FULL_TEXTS)
