"""Serves a job by the new stages, and says what a candidate would be given after it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex

import anyio

from drapto.bootstrap.services import open_services
from drapto.core.events import Event
from drapto.core.job import EncodeOptions, JobRequest
from drapto.core.routing import Mode, RoutedStage, Side
from drapto.core.shadow_task import ShadowTask
from drapto.infrastructure.settings import Settings
from tests.media.clips import ffmpeg, tone, with_cuts, x264
from tests.media.tracks import CHAPTERS, SRT


def flags(mode: str, shadow: str) -> str:
    """A flags file that says the same of every stage."""
    stages = [f'[stage.{s}]\nmode = "{mode}"\nshadow = {{ {shadow} }}\n' for s in RoutedStage]
    return "schema = 1\n" + "".join(stages)


NEW = flags("new", "sample = 1.0, aa_sample = 0.0")
LEGACY_TWICE = flags("shadow", "aa_sample = 1.0")
OPTIONS = EncodeOptions(preset=13, crf=40, min_segment_s=0.5, max_segment_s=1.0)
FRAMES = 90
"""Of `film_with_everything`: three scenes, so at least three segments by these options."""


@dataclass(frozen=True)
class Served:
    source: Path
    output: Path
    tasks: dict[RoutedStage, ShadowTask]

    def task(self, stage: RoutedStage) -> ShadowTask:
        """As if legacy had served: the results are new's, so that an honest candidate agrees."""
        return self._as(stage, primary=Side.LEGACY, candidate=Side.NEW, mode=Mode.SHADOW)

    def task_against_itself(self, stage: RoutedStage) -> ShadowTask:
        return self._as(stage, primary=Side.NEW, candidate=Side.NEW, mode=Mode.NEW)

    def _as(self, stage: RoutedStage, **sides: object) -> ShadowTask:
        return self.tasks[stage].model_copy(update={"id": token_hex(6), **sides})

    def state(self) -> dict[str, str]:
        """Everything beside the source and the output, with a digest of its content."""
        places = (self.source.parent, self.output.parent)
        return {
            str(path): blake2b(path.read_bytes()).hexdigest()
            for place in places
            for path in sorted(place.iterdir())
        }


@dataclass(frozen=True)
class Serve:
    """Makes jobs in a directory. Their outputs lie in 'outputs', their state in 'state'."""

    directory: Path
    flags: str = NEW

    def __call__(self, source: Path, options: EncodeOptions = OPTIONS) -> Served:
        output = self.directory / "outputs" / source.with_suffix(".mkv").name
        output.parent.mkdir(exist_ok=True)
        return anyio.run(self._serve, source, output, options)

    async def _serve(self, source: Path, output: Path, options: EncodeOptions) -> Served:
        file = self.directory / "flags.toml"
        file.write_text(self.flags)
        before = dict(os.environ)
        os.environ["DRAPTO_FLAGS_FILE"] = str(file)
        try:
            settings = Settings(state_dir=self.directory / "state", wait_shadow=True)
            async with open_services(settings) as services:
                request = JobRequest(source=source, output=output, options=options)
                await services.encode(request, ())
                assert services._runner is not None
                tasks = services._runner.take_waiting()
        finally:
            os.environ.clear()
            os.environ.update(before)
        return Served(source, output, {task.stage: task for task in tasks})


class Events(list[Event]):
    """Everything that was told."""

    def emit(self, event: Event) -> None:
        self.append(event)


def film_with_everything(directory: Path) -> Path:
    """320x180 with bars of 24 rows, 90 frames at 24 per second in three scenes; audio eng
    'Stereo' (default) and fre; subtitles ger (forced) and jpn; two chapters."""
    directory.mkdir(exist_ok=True)
    scenes = (("testsrc2", 30), ("smptehdbars", 26), ("testsrc", 34))
    made = directory.parent / "made"
    made.mkdir()
    picture, _ = with_cuts(made, scenes, size="320x132", audio=False)
    (made / "a.srt").write_text(SRT)
    (made / "chapters.txt").write_text(CHAPTERS)
    inputs = ("-i", str(picture), *tone(FRAMES / 24), *tone(FRAMES / 24, channels="mono"))
    inputs += ("-i", str(made / "a.srt"), "-i", str(made / "a.srt"))
    inputs += ("-i", str(made / "chapters.txt"))
    maps = "-map 0:v -map 1:a -map 2:a -map 3:s -map 4:s -map_metadata 5 -map_chapters 5"
    graph = "noise=alls=6:allf=t:all_seed=1,pad=320:180:0:24:black"
    tags = "-metadata:s:a:0 language=eng -metadata:s:a:0 title=Stereo -metadata:s:a:1 language=fre"
    tags += " -metadata:s:s:0 language=ger -metadata:s:s:1 language=jpn"
    tags += " -disposition:a:0 default -disposition:a:1 0"
    tags += " -disposition:s:0 forced -disposition:s:1 0"
    codecs = ("-c:a", "aac", "-b:a", "64k", "-c:s", "subrip")
    out = directory / "film.mkv"
    ffmpeg(*inputs, *maps.split(), "-vf", graph, *x264(), *codecs, *tags.split(), out)
    return out
