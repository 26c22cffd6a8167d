"""Everything that runs beside a job or after it, to be compared. Loaded where something is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

import anyio

from drapto.bootstrap.reporting import flags_now
from drapto.bootstrap.rollback import make_rollback
from drapto.bootstrap.stages import legacy_stages, make_workshop, new_stages
from drapto.core.errors import InputError
from drapto.core.interfaces import EventSink
from drapto.core.json_text import dumps, loads
from drapto.core.output_summary import OutputSummary
from drapto.core.routing import Side
from drapto.core.shadow_task import CandidateResult, Measured, ShadowTask
from drapto.core.source import SourceVideo
from drapto.infrastructure.candidates import ProcessCandidates
from drapto.infrastructure.comparison_store import SqliteComparisonStore
from drapto.infrastructure.ffmpeg.binaries import FfmpegBinary, find_ffmpeg, inspect_ffmpeg
from drapto.infrastructure.ffmpeg.footage import Footage, output_footage
from drapto.infrastructure.ffmpeg.quality import measure_quality
from drapto.infrastructure.ffmpeg.reader import PyAvReader
from drapto.infrastructure.ffmpeg.summary import summarize_file
from drapto.infrastructure.files import write_atomically
from drapto.infrastructure.flags.opening import Flags, open_flags
from drapto.infrastructure.lock import only_one
from drapto.infrastructure.logging import LogSink, job_logger, log_path
from drapto.infrastructure.machine import available_memory_bytes, cpu_cores
from drapto.infrastructure.process import start_detached
from drapto.infrastructure.resources import ResourceManager
from drapto.infrastructure.settings import Settings
from drapto.services.candidate import run_candidate
from drapto.services.detection.truth import settle_on_decoded
from drapto.services.gatekeeper import Gatekeeper
from drapto.services.reporting import Everyone
from drapto.services.rollback import RollbackManager
from drapto.services.shadow import ShadowRunner


def make_runner(
    settings: Settings, flags: Flags, rollback: RollbackManager, sink: EventSink
) -> ShadowRunner:
    """What becomes of the runs goes to `sink` and, whoever listens, to a log that outlives jobs."""
    base = settings.state_dir / "shadow"
    with suppress(OSError):  # then there is no log, and each run says why it has no place
        base.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = LogSink(job_logger(log_path(base), job="", level=settings.log_level))
    candidates = ProcessCandidates(settings_values(settings), base)
    store = SqliteComparisonStore(settings.state_dir)
    gate = Gatekeeper(store, lambda: flags_now(flags), flags.overrides)
    return ShadowRunner(candidates, rollback, Everyone((sink, log)), gate)


def settings_values(settings: Settings) -> dict[str, Any]:
    """For another process to make the same settings from, whatever its environment says."""
    values = settings.model_dump(mode="json")
    return {name: value for name, value in values.items() if value is not None}


async def run_shadow(
    verb: str, task: ShadowTask, settings: Settings, place: Path
) -> CandidateResult | Measured:
    """The work of a candidate's process. `verb` is 'run' or 'measure'."""
    binary = await inspect_ffmpeg(find_ffmpeg(settings.ffmpeg))
    if verb == "measure":
        return await _measure(task, binary, place)
    resources = ResourceManager(cpu_slots=cpu_cores(), memory_bytes=available_memory_bytes())
    workshop = make_workshop(settings, binary, resources, place / "state")
    if task.candidate is Side.NEW:
        stages = new_stages(settings, binary, resources, Everyone(()))
    else:
        stages = legacy_stages(settings, binary, resources, place)
    return await run_candidate(task, workshop, stages, place)


async def _measure(task: ShadowTask, binary: FfmpegBinary, place: Path) -> Measured:
    reader = PyAvReader(binary.path)
    media = await reader.probe(task.source)
    video = await reader.open_video(
        media, reader.main_video(media, task.options.video_stream), place
    )
    video, _ = await settle_on_decoded(reader, video, task.analysis)
    video = video.deinterlaced(task.deinterlacing)
    source = Footage.of(video, crop=task.settings.crop)

    async def summary(path: Path) -> OutputSummary:
        found = await summarize_file(path, crop=task.settings.crop, threads=cpu_cores())
        try:
            output = await output_footage(path)
            quality = await measure_quality(
                binary.path, source, output, scratch_dir=place, threads=cpu_cores()
            )
        except InputError:  # it does not have the frames or the picture of the source
            return found
        return found.model_copy(update={"quality": quality})

    candidate, fault = None, ""
    try:
        candidate = await summary(task.candidate_output(place.parent))
    except InputError as error:
        fault = str(error)
    return Measured(
        primary=await summary(task.output),
        candidate=candidate,
        candidate_fault=fault,
        source=await _summary_of_source(task, video),
    )


async def _summary_of_source(task: ShadowTask, video: SourceVideo) -> OutputSummary:
    """With the frames that an output is to have: deinterlacing may make others of them."""
    found = await summarize_file(task.source, decode=False)
    if video.deinterlacing.is_off:
        return found
    return found.model_copy(update={"frames": len(video.index)})


def detach(tasks: Sequence[ShadowTask], settings: Settings) -> None:
    """Leave tasks to a process that outlives this one.

    Errors: OSError, MissingToolError, ResourceError.
    """
    base = settings.state_dir / "shadow"
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = base / f"detached-{token_hex(6)}.json"
    handed_over = {"settings": settings_values(settings), "tasks": list(tasks)}
    write_atomically(file, dumps(handed_over).encode())
    start_detached([sys.executable, "-m", "drapto.shadow_worker", "detached", str(file)])


async def run_detached(file: Path, content: bytes) -> None:
    """Run what `detach` left, one process at a time, for no longer than all of it may take."""
    handed_over = loads(content)
    settings = Settings(**handed_over["settings"])
    tasks = [ShadowTask.model_validate(task) for task in handed_over["tasks"]]
    flags, nobody = open_flags(settings), Everyone(())
    runner = make_runner(settings, flags, make_rollback(settings, flags, nobody), nobody)
    with anyio.move_on_after(sum(task.longest_s for task in tasks)):
        async with only_one(file.parent / "detached.lock"):
            for task in tasks:
                await runner.submit(task)
            await runner.run_all()
