"""The workshop of a job, and the two sides of its stages."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from drapto.bootstrap.detecting import make_detection
from drapto.core.interfaces import EventSink
from drapto.core.segments import SegmentTask
from drapto.core.workshop import Machine, Workshop
from drapto.infrastructure.ffmpeg.binaries import FfmpegBinary
from drapto.infrastructure.ffmpeg.decode import payload_digests
from drapto.infrastructure.ffmpeg.encoder_trial import FfmpegTrials
from drapto.infrastructure.ffmpeg.executor import LocalSegmentExecutor
from drapto.infrastructure.ffmpeg.facts import collect_facts
from drapto.infrastructure.ffmpeg.inspector import DecodingInspector
from drapto.infrastructure.ffmpeg.metadata_reading import PacketMetadataReader
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.ffmpeg.segment_quality import SegmentMeasurer
from drapto.infrastructure.ffmpeg.tracks import FfmpegTracks
from drapto.infrastructure.ffmpeg.usable_metrics import FfmpegMetrics
from drapto.infrastructure.film_memory import FileFilmMemory
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.infrastructure.store import FileJobStore
from drapto.infrastructure.worker_slots import MeasuredSlots
from drapto.services.encoding.measuring import measuring_arguments
from drapto.services.encoding.registry import encoder_named
from drapto.services.encoding.service import ParallelEncoding
from drapto.services.segmentation.service import SceneSegmentation
from drapto.services.stages import Stages


def make_workshop(
    settings: Settings, binary: FfmpegBinary, resources: ResourceManager, state_dir: Path
) -> Workshop:
    statistics = resources.statistics()
    return Workshop(
        reader=PyAvReader(binary.path),
        tracks=FfmpegTracks(
            binary.path, _executor(settings, binary).command, stall_s=settings.stall_s
        ),
        facts=collect_facts,
        payload=payload_digests,
        metadata=PacketMetadataReader(),
        metrics=FfmpegMetrics(binary),
        trials=FfmpegTrials(
            binary, _executor(settings, binary), session=partial(resources.acquire, encoders=1)
        ),
        films=FileFilmMemory(state_dir, learns=settings.learn_films),
        store=FileJobStore(state_dir, resources, log_level=settings.log_level),
        machine=Machine(
            cores=statistics.cpu_capacity,
            memory_bytes=statistics.memory_capacity_bytes,
            ffmpeg_version=binary.version,
        ),
    )


def new_stages(
    settings: Settings, binary: FfmpegBinary, resources: ResourceManager, sink: EventSink
) -> Stages:
    """`sink` hears where a device is left for the CPU."""
    return Stages(
        detection=make_detection(settings, resources, sink),
        segmentation=SceneSegmentation(),
        encoding=new_encoding(settings, binary, resources),
    )


def new_encoding(
    settings: Settings, binary: FfmpegBinary, resources: ResourceManager
) -> ParallelEncoding:
    def on_card(task: SegmentTask) -> bool:
        return encoder_named(task.settings.encoder).needs_device

    return ParallelEncoding(_executor(settings, binary), MeasuredSlots(resources, on_card=on_card))


def legacy_stages(
    settings: Settings, binary: FfmpegBinary, resources: ResourceManager, work_dir: Path
) -> Stages:
    """The legacy side of one job. `work_dir` is for its scripts alone and need not exist yet; it
    has to stay until the job has ended, since legacy segments are files in it."""
    from drapto.infrastructure.scripts import ScriptDirectory
    from drapto.services.legacy.adapter import (
        LegacyDetection,
        LegacyEncoding,
        LegacySegmentation,
        Scripts,
        ScriptSegmentExecutor,
    )
    from drapto.services.legacy.contract import PACKAGED_SCRIPTS

    own = settings.legacy_scripts_dir
    runner = ScriptDirectory(
        own or PACKAGED_SCRIPTS,
        interpreter=() if own else ("bash",),
        deadline_s=settings.legacy_deadline_s,
    )
    scripts = Scripts(runner, ffmpeg=binary.path, work_dir=work_dir)
    executor = ScriptSegmentExecutor(
        scripts, _inspector(settings, binary), vmaf_target=settings.legacy_vmaf_target
    )
    return Stages(
        detection=LegacyDetection(scripts),
        segmentation=LegacySegmentation(scripts),
        encoding=LegacyEncoding(executor, MeasuredSlots(resources)),
    )


def _executor(settings: Settings, binary: FfmpegBinary) -> LocalSegmentExecutor:
    def arguments_for(task: SegmentTask) -> list[str]:
        return encoder_named(task.settings.encoder).arguments(task)

    return LocalSegmentExecutor(
        binary.path, arguments_for, _inspector(settings, binary), stall_s=settings.stall_s
    )


def _inspector(settings: Settings, binary: FfmpegBinary) -> DecodingInspector:
    return DecodingInspector(
        SegmentMeasurer(binary.path, measuring_arguments, stall_s=settings.stall_s)
    )
