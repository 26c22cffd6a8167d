"""What `drapto estimate` needs, put together."""

from __future__ import annotations

import resource

from drapto.bootstrap.stages import make_workshop, new_encoding
from drapto.infrastructure.ffmpeg.audio_trial import FfmpegAudioTrial
from drapto.infrastructure.ffmpeg.binaries import FfmpegBinary
from drapto.infrastructure.ffmpeg.contact_sheet import PngSheets
from drapto.infrastructure.ffmpeg.luma import PyAvLumaReader
from drapto.infrastructure.ffmpeg.packet_sizes import PyAvPacketSizes
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.detection.features import NumpyBackend
from drapto.services.estimating.service import FilmEstimator, Tools
from drapto.services.stages import StageSource


def make_estimator(
    settings: Settings, binary: FfmpegBinary, resources: ResourceManager, stages: StageSource
) -> FilmEstimator:
    """Of the new stages, whoever of `stages` would serve."""
    return FilmEstimator(
        make_workshop(settings, binary, resources, settings.state_dir),
        new_encoding(settings, binary, resources),
        Tools(
            windows=PyAvLumaReader(),
            backend=NumpyBackend(),
            sizer=PyAvPacketSizes(),
            audio=FfmpegAudioTrial(binary.path),
            sheets=PngSheets(),
            cpu_s=_cpu_s,
        ),
        stages,
    )


def _cpu_s() -> float:
    """Of this process, and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in used)
