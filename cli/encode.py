"""`drapto encode`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli import encode_options as o
from cli.options import ConfigFile

if TYPE_CHECKING:
    from cli.runtime import Stop


def encode(
    inputs: o.Inputs,
    output: o.Output,
    target_vmaf: o.TargetVmaf = None,
    crf: o.Crf = None,
    pool: o.Pool = None,
    floor: o.Floor = None,
    strict: o.Strict = False,
    no_strict: o.NoStrict = False,
    max_extra: o.MaxExtra = None,
    max_size_percent: o.MaxSizePercent = None,
    vmaf_neg: o.VmafNeg = False,
    no_vmaf_neg: o.NoVmafNeg = False,
    measure: o.Measure = False,
    no_measure: o.NoMeasure = False,
    preset: o.Preset = None,
    encoder: o.EncoderName = None,
    crop: o.Crop = None,
    deinterlace: o.Deinterlace = None,
    film_grain: o.FilmGrain = None,
    audio: o.Audio = None,
    video_stream: o.VideoStream = None,
    strict_tracks: o.StrictTracks = False,
    no_strict_tracks: o.NoStrictTracks = False,
    workers: o.Workers = None,
    memory: o.Memory = None,
    route: o.Route = None,
    priority: o.Priority = None,
    no_wait_shadow: o.NoWaitShadow = False,
    wait_shadow: o.WaitShadow = False,
    overwrite: o.Overwrite = False,
    no_resume: o.NoResume = False,
    keep_work: o.KeepWork = False,
    no_keep_work: o.NoKeepWork = False,
    work_dir: o.WorkDirectory = None,
    dry_run: o.DryRun = False,
    json_lines: o.JsonLines = False,
    metrics_file: o.MetricsFile = None,
    config: ConfigFile = None,
    verbose: o.Verbose = False,
    quiet: o.Quiet = False,
) -> int:
    """Encode INPUT to OUTPUT.

    INPUT and OUTPUT are files; OUTPUT's extension (.mkv, .mp4, .webm) chooses the container.
    INPUT may also be a directory, or several files: then OUTPUT is a directory, and every video
    found becomes an .mkv in it, under the same name and in the same sub-directories. One failed
    file does not stop the others.

    Run the same command again after an interruption and it goes on where it stopped.
    """
    flags = {
        "crf": crf, "target_vmaf": target_vmaf, "pool": pool, "floor": floor,
        "strict": _either(strict, no_strict), "max_extra": max_extra,
        "max_size_percent": max_size_percent, "vmaf_neg": _either(vmaf_neg, no_vmaf_neg),
        "measure": _either(measure, no_measure), "preset": preset, "encoder": encoder, "crop": crop,
        "deinterlace": deinterlace, "film_grain": film_grain, "audio": audio,
        "video_stream": video_stream, "workers": workers, "memory_gib": memory,
        "strict_tracks": _either(strict_tracks, no_strict_tracks),
        "keep_work": _either(keep_work, no_keep_work), "work_dir": work_dir,
        "priority": priority, "wait_shadow": _either(wait_shadow, no_wait_shadow),
    }  # fmt: skip
    run = {"overwrite": overwrite, "resume": not no_resume, "dry_run": dry_run}

    async def body(stop: Stop) -> int:
        from cli.encode_setup import Call, prepare

        call = Call(
            inputs=tuple(inputs), output=output, flags=flags, run=run, config_file=config,
            routes=tuple(route or ()), metrics_file=metrics_file, json_lines=json_lines,
            verbose=verbose, quiet=quiet,
        )  # fmt: skip
        jobs, work = prepare(call, stop)
        return await jobs.all(work, stop)

    from cli.runtime import run_command

    return run_command(body, verbose=verbose)


def _either(yes: bool, no: bool) -> bool | None:
    return True if yes else False if no else None
