"""What every encoder of the registry must hold: its command reads exactly the asked frames."""

from __future__ import annotations

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from drapto.core.errors import UsageError
from drapto.core.interfaces import Encoder
from drapto.core.media import ColorInfo, ContentLight, CropRect, FrameIndex, MasteringDisplay
from drapto.core.segments import Segment, SegmentTask, VideoSettings
from drapto.infrastructure.ffmpeg.binaries import find_ffmpeg, inspect_ffmpeg
from drapto.infrastructure.ffmpeg.decode import decode_segment
from drapto.infrastructure.ffmpeg.encoder_trial import FfmpegTrials
from drapto.infrastructure.ffmpeg.executor import LocalSegmentExecutor
from drapto.infrastructure.ffmpeg.probe import probe_file
from drapto.services.encoding.command import encoded_color
from drapto.services.encoding.registry import ENCODERS, encoder_named
from drapto.services.encoding.settings import check_crf
from drapto.services.encoding.tasks import EARLIER_S, seek_points
from tests.media import clips

HDR10 = ColorInfo(
    primaries="bt2020",
    transfer="smpte2084",
    matrix="bt2020nc",
    range="tv",
    chroma_location="topleft",
    mastering_display=MasteringDisplay(
        red=(0.68, 0.32),
        green=(0.265, 0.69),
        blue=(0.15, 0.06),
        white=(0.3127, 0.329),
        min_luminance=0.0001,
        max_luminance=1000,
    ),
    content_light=ContentLight(max_cll=1000, max_fall=400),
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips.simple(tmp_path_factory.mktemp("encoder"))


ON_CARDS = sorted(name for name, encoder in ENCODERS.items() if encoder.needs_device)


@pytest.fixture(
    params=[
        pytest.param(name, marks=pytest.mark.gpu) if "nvenc" in name else name
        for name in sorted(ENCODERS)
    ]
)
async def encoder(request: pytest.FixtureRequest) -> Encoder:
    """One that really encodes here; those of cards where there is one."""
    encoder = ENCODERS[request.param]
    if encoder.needs_device:
        binary = await inspect_ffmpeg(find_ffmpeg())
        executor = LocalSegmentExecutor(binary.path, encoder.arguments)
        settings = task_for(Path("a"), Path("b"), encoder=encoder.name).settings
        trial = await FfmpegTrials(binary, executor).of(encoder, settings)
        if not trial.works:
            pytest.skip(f"{encoder.name} does not work here: {trial.problem}")
    return encoder


@pytest.fixture(params=sorted(ENCODERS))
def any_encoder(request: pytest.FixtureRequest) -> Encoder:
    """For what can be told without encoding."""
    return ENCODERS[request.param]


def task_for(
    source: Path, output: Path, *, encoder: str, first: int = 24, end: int = 34, **settings: object
) -> SegmentTask:
    """Frames of `clips.simple`: Matroska, 24 fps, so frame n is shown at about n / 24 s."""
    values = {"width": 320, "height": 180, "preset": 13, "crf": 40.0, "encoder": encoder}
    values |= {f"source_{name}": settings.get(name, values[name]) for name in ("width", "height")}
    return SegmentTask(
        segment=Segment(index=0, start=first, end=end),
        source=source,
        stream_index=0,
        time_base=Fraction(1, 1000),
        first_pts=round(first * 1000 / 24),
        end_pts=round(end * 1000 / 24),
        seeks_s=(first / 24, None),
        settings=VideoSettings.model_validate({**values, "frame_rate": Fraction(24), **settings}),
        output=output,
    )


def encode(encoder: Encoder, task: SegmentTask) -> None:
    command = [str(find_ffmpeg()), "-nostdin", "-v", "error", *encoder.arguments(task)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_encodes_exactly_the_frames_of_the_segment(
    encoder: Encoder, source: Path, tmp_path: Path
) -> None:
    task = task_for(source, tmp_path / "segment.mkv", encoder=encoder.name)
    encode(encoder, task)
    assert (await decode_segment(task.output)).frames == 10
    psnr = subprocess.run(
        [
            *(str(find_ffmpeg()), "-nostdin", "-v", "info", "-i", str(task.output)),
            *("-i", str(source), "-lavfi"),
            "[1]trim=start_frame=24:end_frame=34,setpts=N,settb=1/24[s];"
            "[0]setpts=N,settb=1/24,format=yuv420p[e];[e][s]psnr=stats_file=-",
            *("-f", "null", "-"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    frames = [line for line in psnr.stdout.splitlines() if line.startswith("n:")]
    assert len(frames) == 10
    # Frame numbers are burnt into the pattern: a picture from one frame further is far below.
    assert min(float(line.split("psnr_y:")[1].split()[0]) for line in frames) > 26


@pytest.mark.parametrize("name", ON_CARDS)
def test_cards_refuse_odd_sizes_with_a_way_out(name: str) -> None:
    settings = task_for(Path("a"), Path("b"), encoder=name, width=321, height=181).settings
    with pytest.raises(UsageError, match="--crop"):
        ENCODERS[name].check(settings)


async def test_same_task_gives_the_same_bytes(
    encoder: Encoder, source: Path, tmp_path: Path
) -> None:
    tasks = [
        task_for(source, tmp_path / f"{n}.mkv", encoder=encoder.name, end=30) for n in range(2)
    ]
    for task in tasks:
        encode(encoder, task)
    assert tasks[0].output.read_bytes() == tasks[1].output.read_bytes()


# What ffmpeg says when it has taken every option and then finds no card to open.
_NO_CARD = (
    "Error while opening encoder",
    "A hardware device reference is required",
)
_BAD_OPTION = ("Unrecognized option", "Error setting option", "has not been used", "Undefined")


@pytest.mark.parametrize("name", ON_CARDS)
@pytest.mark.parametrize("preset", [0, 6, 13])
@pytest.mark.parametrize("crf", [2.0, 30.25, 51.0])
def test_ffmpeg_takes_every_option_of_a_card(
    name: str, preset: int, crf: float, source: Path, tmp_path: Path
) -> None:
    """It reads all options of an encoder before it opens it; without a card that is where it ends,
    with one it encodes."""
    done = run_on_no_card(name, source, tmp_path / "out.mkv", preset=preset, crf=crf, color=HDR10)
    assert not [word for word in _BAD_OPTION if word in done.stderr], done.stderr
    assert done.returncode == 0 or any(word in done.stderr for word in _NO_CARD), done.stderr


def test_an_option_that_ffmpeg_does_not_take_shows(source: Path, tmp_path: Path) -> None:
    """That the test above can fail."""
    for extra in (["-cq", "99"], ["-tune", "bogus"], ["-low_power", "1"]):
        done = run_on_no_card("av1-nvenc", source, tmp_path / "out.mkv", extra=extra)
        assert [word for word in _BAD_OPTION if word in done.stderr], done.stderr


def run_on_no_card(
    name: str, source: Path, output: Path, *, extra: list[str] | None = None, **settings: object
) -> subprocess.CompletedProcess[str]:
    """VA-API's device is left out: without one, ffmpeg gives up before it looks at the encoder."""
    task = task_for(source, output, encoder=name, **settings)  # type: ignore[arg-type]
    told = ENCODERS[name].arguments(task)
    if "-init_hw_device" in told:
        del told[:4]
    if extra:
        told[told.index("-g") : told.index("-g")] = extra
    command = [str(find_ffmpeg()), "-nostdin", "-v", "warning", *told]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ON_CARDS)
def test_cards_are_told_to_keep_to_what_joins(name: str) -> None:
    """Key frames where segments need them, no reordering, ten bits, the tags of the source."""
    task = task_for(Path("a"), Path("b"), encoder=name, keyint=120, color=HDR10)
    told = ENCODERS[name].arguments(task)
    assert told[told.index("-g") + 1] == "120"
    assert told[told.index("-bf") + 1] == "0"
    graph = told[told.index("-vf") + 1]
    assert "format=p010le" in graph
    assert "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc" in graph


def test_one_scale_of_crf_is_the_quantizer_index_of_all_av1_cards() -> None:
    def told(name: str, option: str, crf: float) -> float:
        task = task_for(Path("a"), Path("b"), encoder=name, crf=crf)
        arguments = ENCODERS[name].arguments(task)
        return float(arguments[arguments.index(option) + 1])

    for crf in (2.0, 30.25, 63.0):
        assert told("av1-nvenc", "-cq", crf) == crf
        for name, option in (
            ("av1-qsv", "-q:v"),
            ("av1-vaapi", "-global_quality"),
            ("av1-amf", "-qp_i"),
        ):
            assert told(name, option, crf) == 4 * crf


@pytest.mark.parametrize("name", ON_CARDS)
def test_presets_of_cards_never_get_slower_with_their_number(name: str) -> None:
    order = {
        "av1-nvenc": [f"p{n}" for n in range(7, 0, -1)],
        "hevc-nvenc": [f"p{n}" for n in range(7, 0, -1)],
        "av1-qsv": [str(n) for n in range(1, 8)],
        "av1-amf": ["high_quality", "quality", "balanced", "speed"],
    }
    if name not in order:
        pytest.skip("it has no effort that all drivers know")
    option = "-quality" if name == "av1-amf" else "-preset"

    def effort(preset: int) -> int:
        told = ENCODERS[name].arguments(task_for(Path("a"), Path("b"), encoder=name, preset=preset))
        return order[name].index(told[told.index(option) + 1])

    efforts = [effort(preset) for preset in range(14)]
    assert efforts == sorted(efforts)
    assert set(efforts) == set(range(len(order[name])))


@pytest.mark.parametrize("name", ["svt-av1", "x265"])
async def test_hdr10_metadata_and_colour_arrive(name: str, source: Path, tmp_path: Path) -> None:
    task = task_for(source, tmp_path / "hdr.mkv", encoder=name, color=HDR10)
    encode(ENCODERS[name], task)
    color = probe_file(task.output).tracks[0].color
    assert (color.primaries, color.transfer, color.matrix, color.range) == (
        ("bt2020", "smpte2084", "bt2020nc", "tv")
    )
    assert color.content_light == HDR10.content_light
    assert color.mastering_display is not None
    assert HDR10.mastering_display is not None
    assert color.mastering_display.red == pytest.approx(HDR10.mastering_display.red, abs=1e-4)
    assert color.mastering_display.green == pytest.approx(HDR10.mastering_display.green, abs=1e-4)
    assert color.mastering_display.max_luminance == pytest.approx(1000, rel=1e-3)
    # AV1 stores it in units of 1/16384 cd/m² (AV1 specification 6.7.4).
    assert color.mastering_display.min_luminance == pytest.approx(0.0001, abs=1 / 16384)


async def test_crop_leaves_the_asked_picture(
    encoder: Encoder, source: Path, tmp_path: Path
) -> None:
    crop = CropRect(width=300, height=100, x=10, y=40)
    task = task_for(source, tmp_path / "crop.mkv", encoder=encoder.name, crop=crop)
    encode(encoder, task)
    track = probe_file(task.output).tracks[0]
    assert (track.width, track.height) == (300, 100)


@pytest.mark.parametrize("builder", [clips.ten_bit_422, clips.twelve_bit_444])
async def test_unusual_pictures_are_accepted(
    builder: object, encoder: Encoder, tmp_path: Path
) -> None:
    assert callable(builder)
    unusual = builder(tmp_path)
    before = probe_file(unusual).tracks[0]
    task = task_for(
        unusual,
        tmp_path / "out.mkv",
        encoder=encoder.name,
        first=0,
        end=5,
        width=before.width,
        height=before.height,
        source_bit_depth=before.bit_depth or 8,
    ).model_copy(update={"seeks_s": (None,)})
    encode(encoder, task)
    after = probe_file(task.output).tracks[0]
    assert (after.width, after.height) == (before.width, before.height)
    assert (await decode_segment(task.output)).frames == 5


async def test_odd_sizes_are_encoded_or_refused_with_a_way_out(
    encoder: Encoder, tmp_path: Path
) -> None:
    odd = clips.odd_size(tmp_path)
    before = probe_file(odd).tracks[0]
    assert before.width is not None and before.height is not None
    task = task_for(
        odd,
        tmp_path / "out.mkv",
        encoder=encoder.name,
        first=0,
        end=5,
        width=before.width,
        height=before.height,
    ).model_copy(update={"seeks_s": (None,)})
    if encoder.name != "svt-av1":
        with pytest.raises(UsageError, match="--crop"):
            encoder.check(task.settings)
        return
    encoder.check(task.settings)
    encode(encoder, task)
    after = probe_file(task.output).tracks[0]
    assert (after.width, after.height) == (before.width, before.height)
    assert (await decode_segment(task.output)).frames == 5


def test_arguments_never_let_a_file_name_become_an_option(any_encoder: Encoder) -> None:
    task = task_for(Path("-i.mkv"), Path("-y:%d.mkv"), encoder=any_encoder.name)
    arguments = any_encoder.arguments(task)
    assert arguments[arguments.index("-i") + 1] == f"file:{Path('-i.mkv').absolute()}"
    assert arguments[-1] == f"file:{Path('-y:%d.mkv').absolute()}"


def test_quality_follows_the_width(any_encoder: Encoder) -> None:
    qualities = [any_encoder.default_crf(width) for width in (640, 1280, 1281, 1920, 1921, 7680)]
    assert qualities == sorted(qualities)
    assert all(any_encoder.crf_range[0] <= q <= any_encoder.crf_range[1] for q in qualities)


def test_svt_av1_defaults_are_the_documented_ones() -> None:
    svt = encoder_named("svt-av1")
    assert [svt.default_crf(width) for width in (1280, 1920, 3840)] == [24, 26, 28]


def test_quarter_crf_reaches_svt_av1() -> None:
    arguments = encoder_named("svt-av1").arguments(
        task_for(Path("a.mkv"), Path("b.mkv"), encoder="svt-av1", crf=30.25)
    )
    assert "crf=30.25" in arguments[arguments.index("-svtav1-params") + 1].split(":")


def test_unknown_encoder_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'svt-av1'"):
        encoder_named("svtav1")


def test_rgb_becomes_bt709_video_range_and_the_rest_keeps_its_tags() -> None:
    rgb = encoded_color(ColorInfo(matrix="gbr", range="pc", transfer="iec61966-2-1"))
    assert (rgb.matrix, rgb.range, rgb.transfer) == ("bt709", "tv", "iec61966-2-1")
    assert encoded_color(HDR10) is HDR10


def index_with_keys(keys: list[int], frames: int = 1000) -> FrameIndex:
    key = np.zeros(frames, dtype=np.bool_)
    key[keys] = True
    pts = np.arange(frames, dtype=np.int64) * 40
    return FrameIndex(Fraction(1, 1000), pts, np.full(frames, 40, dtype=np.int64), key)


def test_each_attempt_starts_earlier_and_the_last_at_the_beginning() -> None:
    index = index_with_keys([0, 100, 200, 300, 600, 700])
    points = seek_points(index, 650, indexed=True)
    assert points[-1] is None
    times = [point for point in points if point is not None]
    assert times == sorted(times, reverse=True)
    assert index.time_s(600) <= times[0] < index.time_s(601) + 0.2
    assert index.time_s(600) - times[1] >= EARLIER_S


def test_containers_without_an_index_start_one_key_frame_early() -> None:
    index = index_with_keys([0, 100, 200])
    assert seek_points(index, 250, indexed=False)[0] == index.time_s(100)
    assert seek_points(index, 50, indexed=False) == (None, None)


def test_the_aim_never_passes_the_next_key_frame() -> None:
    index = index_with_keys(list(range(1000)))
    for start in (1, 500, 998):
        aim = seek_points(index, start, indexed=True)[0]
        assert aim is not None
        assert index.time_s(start) <= aim < index.time_s(start) + 0.04


def test_quality_out_of_range_is_refused_with_the_range(any_encoder: Encoder) -> None:
    low, high = any_encoder.crf_range
    check_crf(any_encoder, low)
    check_crf(any_encoder, high)
    check_crf(any_encoder, None)
    with pytest.raises(UsageError, match=f"{low:g} to {high:g}"):
        check_crf(any_encoder, high + 1)
