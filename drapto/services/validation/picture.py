"""The picture: size, shape, turn, depth, colour and HDR metadata."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from drapto.core.analysis import PictureShape, ShapeChange
from drapto.core.facts import TrackFacts
from drapto.core.manifest import ManifestRow
from drapto.core.media import ColorInfo, ContentLight, MasteringDisplay, Track
from drapto.core.segments import VideoSettings
from drapto.services.encoding.command import encoded_color
from drapto.services.validation.rows import equal, listing, named, or_none, row
from drapto.services.validation.timestamps import VIDEO

CHROMATICITY_TOLERANCE = 0.00005
"""HEVC codes x and y in 1/50000, AV1 in 1/65536: half a step of each is 0.000018."""

MAX_LUMINANCE_TOLERANCE = 0.01  # cd/m²; HEVC codes it in 1/10000, AV1 in 1/256
MIN_LUMINANCE_TOLERANCE = 0.0002  # cd/m²; HEVC codes it in 1/10000, AV1 in 1/16384

_SQUARE = Fraction(1)


def picture_rows(
    source: Track, output: Track, facts: TrackFacts | None, settings: VideoSettings
) -> Iterator[ManifestRow]:
    """Shape and depth of the output's picture."""
    yield _size_row(source, output, settings)
    yield _aspect_row(source, output, settings)
    turn = f"{source.rotation_deg}°{' mirrored' if source.mirrored else ''}"
    found = f"{output.rotation_deg}°{' mirrored' if output.mirrored else ''}"
    yield equal("rotation", VIDEO, turn, found)
    yield _depth_row(source, output)
    yield _chroma_row(source, output)
    if source.has_alpha:
        lost = "the encoder has no place for transparency"
        yield named("alpha", VIDEO, "transparency", "none", lost)
    if source.captions:
        yield named("captions", VIDEO, "within the pictures", "none", "they are not carried over")
    yield from _uniform_rows(facts)


def shape_rows(output: Track, changes: Sequence[ShapeChange]) -> Iterator[ManifestRow]:
    """A file has one form for all its pictures; what the source had besides is named."""
    if not changes:
        return
    first = changes[0].before
    others = (f"{change.after} from frame {change.frame}" for change in changes)
    note = "all pictures are scaled to one size and shown in one shape"
    yield named("picture_changes", VIDEO, listing([first, *others]), _form(output), note)


def _form(track: Track) -> str:
    return str(
        PictureShape(
            width=track.width or 0,
            height=track.height or 0,
            pixel_aspect=track.sample_aspect_ratio or _SQUARE,
            bit_depth=track.bit_depth or 8,
        )
    )


def colour_rows(
    source: ColorInfo, output: Track, facts: TrackFacts | None, settings: VideoSettings
) -> Iterator[ManifestRow]:
    """Colour tags and HDR metadata. The source's tags count; where it has none, the settings'."""
    found, wanted = output.color, settings.color
    tags = ("primaries", "transfer", "matrix", "range")
    said = source.model_copy(
        update={name: getattr(source, name) or getattr(wanted, name) for name in tags}
    )
    encoded = encoded_color(said)
    for name in tags:
        compared = _tag_row(name, getattr(encoded, name), getattr(found, name), facts)
        changed = getattr(said, name) != getattr(encoded, name)
        if changed and compared.outcome == "pass":
            note = "RGB is encoded as YCbCr"
            before = or_none(getattr(said, name))
            compared = named(compared.check, VIDEO, before, compared.actual, note)
        yield compared
    location = source.chroma_location or wanted.chroma_location
    yield _location_row(location, output)
    yield _mastering_row(source.mastering_display or wanted.mastering_display, found)
    yield _light_row(source.content_light or wanted.content_light, found)


def _size_row(source: Track, output: Track, settings: VideoSettings) -> ManifestRow:
    crop = settings.crop
    width = crop.width if crop else source.width
    height = crop.height if crop else source.height
    expected, actual = f"{width}x{height}", f"{output.width}x{output.height}"
    planned = f"{settings.width}x{settings.height}"
    note = f"cropped from {source.width}x{source.height} by {crop}" if crop else ""
    if planned != expected and _made_even((width, height), (settings.width, settings.height)):
        note = f"the encoder takes even sizes only, so {expected} became {planned}"
        if actual == planned:
            return named("picture_size", VIDEO, expected, actual, note)
    return equal("picture_size", VIDEO, expected, actual, note=note)


def _made_even(wanted: tuple[int | None, int | None], planned: tuple[int, int]) -> bool:
    return all(
        want is not None and (want == plan or (want % 2 == 1 and abs(want - plan) == 1))
        for want, plan in zip(wanted, planned, strict=True)
    )


def _aspect_row(source: Track, output: Track, settings: VideoSettings) -> ManifestRow:
    """Matroska stores the display size in whole pixels, so a shape may be off by half of one."""
    expected = source.sample_aspect_ratio or settings.sample_aspect_ratio or _SQUARE
    actual = output.sample_aspect_ratio or _SQUARE
    smallest = min(output.width or 1, output.height or 1)
    tolerance = 1.0 / max(smallest, 1)
    passed = abs(float(actual / expected) - 1.0) <= tolerance
    shown = (
        f"{expected.numerator}:{expected.denominator}",
        f"{actual.numerator}:{actual.denominator}",
    )
    return row("pixel_aspect", VIDEO, *shown, passed, tolerance=f"± {tolerance * 100:.2g} %")


def _depth_row(source: Track, output: Track) -> ManifestRow:
    if source.bit_depth is None or output.bit_depth is None:
        note = "the pixel format is not known"
        shown = or_none(source.bit_depth), or_none(output.bit_depth)
        return named("bit_depth", VIDEO, *shown, note)
    expected, actual = f"at least {source.bit_depth}", f"{output.bit_depth}"
    if source.bit_depth > 10 and output.bit_depth == 10:
        return named("bit_depth", VIDEO, expected, actual, "encoded with 10 bits a sample")
    return row("bit_depth", VIDEO, expected, actual, output.bit_depth >= source.bit_depth)


def _chroma_row(source: Track, output: Track) -> ManifestRow:
    expected, actual = _subsampling(source.pixel_format), _subsampling(output.pixel_format)
    if expected != actual and actual == "4:2:0":
        return named("chroma_format", VIDEO, expected, actual, "encoded as 4:2:0")
    return equal("chroma_format", VIDEO, expected, actual)


def _subsampling(pixel_format: str | None) -> str:
    """'4:2:0' and the like from ffmpeg's pixel format names."""
    name = pixel_format or ""
    for mark, text in (("410", "4:1:0"), ("411", "4:1:1"), ("420", "4:2:0"), ("422", "4:2:2"),
                       ("440", "4:4:0"), ("444", "4:4:4")):  # fmt: skip
        if mark in name:
            return text
    if name.startswith(("nv12", "nv21", "p010", "p012", "p016")):
        return "4:2:0"
    if name.startswith(("gbr", "rgb", "bgr", "argb", "abgr", "0rgb", "0bgr", "pal8")):
        return "RGB"
    if name.startswith("gray"):
        return "4:0:0"
    return name or "unknown"


def _uniform_rows(facts: TrackFacts | None) -> Iterator[ManifestRow]:
    """All segments decode to the same kind of picture."""
    if facts is None or facts.decoded is None or not facts.decoded.forms:
        return
    forms = facts.decoded.forms
    yield equal("picture_uniform", VIDEO, str(forms[0]), " then ".join(map(str, forms)))


def _tag_row(
    name: str, expected: str | None, container_says: str | None, facts: TrackFacts | None
) -> ManifestRow:
    """One colour tag, as the container and as every decoded frame has it."""
    check = f"color_{name}"
    said = {container_says}
    if facts is not None and facts.decoded is not None:
        said |= {getattr(form, name) for form in facts.decoded.forms}
    if name == "range" and expected != "pc":
        expected = "tv"  # where nothing is said, limited range is meant (H.264, E.2.1)
        said = {value or "tv" for value in said}
    actual = " and ".join(sorted(or_none(value) for value in said))
    return row(check, VIDEO, or_none(expected), actual, said == {expected})


def _location_row(expected: str | None, output: Track) -> ManifestRow:
    """AV1 knows 'left' and 'topleft' only, and 4:2:0 is where it means anything."""
    check, actual = "color_chroma_location", output.color.chroma_location
    if expected is None or expected == actual:
        return row(check, VIDEO, or_none(expected), or_none(actual), True)
    if _subsampling(output.pixel_format) != "4:2:0":
        return named(check, VIDEO, expected, or_none(actual), "only 4:2:0 has a chroma location")
    if output.codec == "av1" and expected not in ("left", "topleft"):
        return named(check, VIDEO, expected, or_none(actual), "AV1 cannot say this location")
    if expected == "left" and actual is None:
        note = "not said; players take that as 'left'"
        return row(check, VIDEO, expected, or_none(actual), True, note=note)
    return row(check, VIDEO, expected, or_none(actual), False)


def _mastering_row(expected: MasteringDisplay | None, found: ColorInfo) -> ManifestRow:
    check, actual = "mastering_display", found.mastering_display
    shown = _describe_mastering(expected), _describe_mastering(actual)
    tolerance = f"x, y ± {CHROMATICITY_TOLERANCE}, luminance ± {MAX_LUMINANCE_TOLERANCE} and "
    tolerance += f"± {MIN_LUMINANCE_TOLERANCE} cd/m²"
    if expected is None or actual is None:
        return row(check, VIDEO, *shown, expected is actual)
    points = zip(_points(expected), _points(actual), strict=True)
    passed = all(abs(a - b) <= CHROMATICITY_TOLERANCE for a, b in points)
    passed &= abs(expected.max_luminance - actual.max_luminance) <= MAX_LUMINANCE_TOLERANCE
    passed &= abs(expected.min_luminance - actual.min_luminance) <= MIN_LUMINANCE_TOLERANCE
    return row(check, VIDEO, *shown, passed, tolerance=tolerance)


def _points(display: MasteringDisplay) -> tuple[float, ...]:
    return (*display.red, *display.green, *display.blue, *display.white)


def _describe_mastering(display: MasteringDisplay | None) -> str:
    if display is None:
        return "none"
    names = ("R", "G", "B", "W")
    pairs = (display.red, display.green, display.blue, display.white)
    points = " ".join(f"{n}({x:.5f},{y:.5f})" for n, (x, y) in zip(names, pairs, strict=True))
    return f"{points} {display.min_luminance:.4f}..{display.max_luminance:.2f} cd/m²"


def _light_row(expected: ContentLight | None, found: ColorInfo) -> ManifestRow:
    return equal(
        "content_light", VIDEO, _describe_light(expected), _describe_light(found.content_light)
    )


def _describe_light(light: ContentLight | None) -> str:
    return "none" if light is None else f"MaxCLL {light.max_cll}, MaxFALL {light.max_fall} cd/m²"
