"""The Python API at its edges: wrong arguments, several listeners, stopping, sharing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

import drapto
from drapto import Drapto, EncodeOptions, Run, RunOptions, Settings, UsageError
from tests.media import clips

QUICK: dict[str, Any] = {"preset": 13, "crf": 50.0}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds with four cuts: several segments."""
    return clips.with_cuts(tmp_path_factory.mktemp("film"), clips.HALF, rate=12)[0]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Drapto]:
    async with Drapto(Settings(state_dir=tmp_path / "state")) as d:
        yield d


def work_dir_of(output: Path) -> Path:
    return output.parent / f".{output.name}.drapto"


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


async def kinds(run: Run) -> list[str]:
    return [event.event async for event in run.events()]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"crff": 30}, "There is no option 'crff'. Did you mean 'crf'?"),
        ({"preset": 99}, "'preset' cannot be '99'; allowed is a whole number from 0 to 13"),
        ({"crf": "good"}, "'crf' cannot be 'good'"),
        ({"crop": "1:2"}, "'crop' cannot be '1:2'"),
        ({"crop": None}, "'crop' cannot be 'None'"),
        ({"audio": "mp3"}, "'audio' cannot be 'mp3'"),
        ({"workers": 0}, "'workers' cannot be '0'"),
        ({"memory_bytes": -1}, "'memory_bytes' cannot be -1"),
        ({"overwrite": "perhaps"}, "'overwrite' cannot be 'perhaps'"),
        ({"min_segment_s": 20}, "cannot be"),
        ({"encoder": "av2"}, "av2"),
        ({"options": EncodeOptions(preset=-3)}, "'preset' cannot be '-3'"),
        ({"run": RunOptions(workers=-3)}, "'workers' cannot be '-3'"),
    ],
)
async def test_wrong_option_is_a_usage_error_that_names_it(
    wrong: dict[str, Any], said: str, service: Drapto, film: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        await service.encode(film, tmp_path / "out.mkv", **wrong)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_wrong_setting_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="'preset' cannot be '99'"):
        Settings(preset=99)
    with pytest.raises(UsageError, match="Did you mean 'preset'"):
        Settings(prest=9)  # type: ignore[call-arg]
    monkeypatch.setenv("DRAPTO_CRF", "best")
    with pytest.raises(UsageError, match="'crf' cannot be 'best'"):
        Drapto()


async def test_overrides_go_before_options_and_options_before_settings(
    film: Path, tmp_path: Path
) -> None:
    async with Drapto(Settings(preset=12, crf=40, state_dir=tmp_path)) as d:
        plan = await d.plan(film, tmp_path / "out.mkv", crf=45)
        assert (plan.preset, plan.crf) == (12, 45)
        options = EncodeOptions(preset=11)
        plan = await d.plan(film, tmp_path / "out.mkv", options=options, crf=45)
        assert (plan.preset, plan.crf) == (11, 45)


async def test_every_listener_gets_every_event(service: Drapto, film: Path, tmp_path: Path) -> None:
    heard: list[list[str]] = [[], []]

    async def listen(run: Run, number: int) -> None:
        heard[number] += await kinds(run)

    async with service.start(film, tmp_path / "out.mkv", **QUICK) as run:
        async with anyio.create_task_group() as group:
            group.start_soon(listen, run, 0)
            group.start_soon(listen, run, 1)
        result = await run.result()
        late = await kinds(run)
    assert heard[0] == heard[1]
    assert heard[0][0] == "job_started"
    assert heard[0][-1] == "job_finished"
    assert heard[0].count("segment_finished") == result.segments
    assert "segment_progress" in heard[0]
    progress = {"stage_progress", "segment_progress"}
    assert late == [event for event in heard[0] if event not in progress]


async def test_listener_that_leaves_does_not_disturb_the_others(
    service: Drapto, film: Path, tmp_path: Path
) -> None:
    async with service.start(film, tmp_path / "out.mkv", **QUICK) as run:
        async for _event in run.events():
            break
        heard = await kinds(run)
        assert await run.result() == await run.result()
    assert heard[0] == "job_started"
    assert heard[-1] == "job_finished"


async def test_leaving_the_block_early_stops_the_job_and_keeps_what_is_done(
    service: Drapto, film: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    async with service.start(film, output, workers=1, **QUICK) as run:
        async for event in run.events():
            if event.event == "segment_finished":
                break
    assert children() == []
    assert not output.exists()
    assert (work_dir_of(output) / "journal.jsonl").exists()
    with pytest.raises(UsageError, match="has no result"):
        await run.result()
    assert (await kinds(run))[-1] == "job_failed"
    result = await service.encode(film, output, **QUICK)
    assert 1 <= result.resumed_segments < result.segments
    assert not work_dir_of(output).exists()


async def test_task_that_waits_for_the_result_is_told_that_the_job_was_stopped(
    service: Drapto, film: Path, tmp_path: Path
) -> None:
    said: list[str] = []

    async def wait(run: Run) -> None:
        try:
            await run.result()
        except UsageError as error:
            said.append(str(error))

    async with (
        anyio.create_task_group() as group,
        service.start(film, tmp_path / "out.mkv", **QUICK) as run,
    ):
        group.start_soon(wait, run)
        await anext(run.events())
    assert len(said) == 1
    assert str(film) in said[0]


async def test_error_that_nobody_asked_for_is_raised_when_the_block_ends(
    service: Drapto, tmp_path: Path
) -> None:
    missing, output = tmp_path / "missing.mkv", tmp_path / "out.mkv"
    with pytest.raises(drapto.InputError, match=r"missing\.mkv"):
        async with service.start(missing, output) as run:
            assert (await kinds(run))[-1] == "job_failed"
    async with service.start(missing, output) as run:
        with pytest.raises(drapto.InputError):
            await run.result()


async def test_error_of_the_callers_own_block_comes_out_as_it_is(
    service: Drapto, film: Path, tmp_path: Path
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with service.start(film, tmp_path / "out.mkv", **QUICK) as run:
            await anext(run.events())
            _ = 1 / 0
    assert children() == []


async def test_two_jobs_at_once_share_the_slots_and_both_finish(
    service: Drapto, film: Path, tmp_path: Path
) -> None:
    results: dict[str, drapto.EncodeResult] = {}

    async def encode(name: str) -> None:
        results[name] = await service.encode(film, tmp_path / name, **QUICK)

    async with anyio.create_task_group() as group:
        group.start_soon(encode, "one.mkv")
        group.start_soon(encode, "two.mkv")
    assert [r.warnings for r in results.values()] == [(), ()]
    one, two = (clips.decoded_frames(tmp_path / name) for name in ("one.mkv", "two.mkv"))
    assert one == two
    assert len(one) == results["one.mkv"].frames
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.mkv", "state", "two.mkv"]


async def test_same_job_twice_at_once_is_refused_for_the_second(
    service: Drapto, film: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    async with service.start(film, output, **QUICK) as run:
        await anext(run.events())
        with pytest.raises(drapto.JobLockedError):
            await service.encode(film, output, **QUICK)
        await run.result()
    assert output.exists()


async def test_service_can_be_opened_again_but_not_twice_at_once(film: Path) -> None:
    d = Drapto()
    with pytest.raises(UsageError, match="outside its 'async with' block"):
        await d.probe(film)
    for _ in range(2):
        async with d:
            media, _ = await d.probe(film)
            assert media.path == film
            with pytest.raises(UsageError, match="open already"):
                await d.__aenter__()
            await d.probe(film)  # the refused second entry has not closed it
    with pytest.raises(UsageError, match="outside its 'async with' block"):
        await d.probe(film)


async def test_encode_for_scripts_says_that_a_loop_is_running_already(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="event loop") as caught:
        drapto.encode(tmp_path / "in.mkv", tmp_path / "out.mkv")
    assert "async with Drapto()" in caught.value.hint
