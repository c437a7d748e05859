"""Samples -> one sheet to look at: pictures in a grid with their classes, masks in colours, pairs side by side.

It reads no file and knows nothing of shards.
"""

import colorsys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wavemix.data.decode import UInt8Image
from wavemix.data.schema import IGNORED, ImagePair, LabelledImage, MaskedImage, PlainImage, Sample

PAPER, BEHIND, INK, PALE_INK = (255, 255, 255), (242, 242, 242), (30, 30, 30), (125, 125, 125)
MARGIN, GAP, FONT_SIZE, LINE = 16, 4, 12, 17
COVER = 0.55
"""How much of a picture the colours of its mask hide."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


class _Cell(NamedTuple):
    """A sample on the sheet: panels side by side above two lines."""

    panels: tuple[UInt8Image, ...]
    told: str
    key: str


def contact_sheet(
    samples: Sequence[Sample], classes: Sequence[str], *, columns: int = 8, tile: int = 160
) -> UInt8Image:
    """A grid of samples, each with its class and the end of its key.

    A picture is reduced to fit into its tile, or enlarged by a whole factor so that its pixels can be counted. A mask
    lies over its picture, beside the plain one, with 255 left out; the colours are explained at the bottom. Of a pair,
    the middle is shown pixel by pixel: low, enlarged, beside high.

    Args:
        samples: What to show, in this order.
        classes: Names by class index; a class without one is shown by its index.
        columns: Tiles in a row; a sample with a mask takes two of them, a pair three.
        tile: Width and height of a tile.

    Returns:
        ``[h, w, 3]``, RGB.

    Raises:
        ValueError: There is no sample, or one of a kind that cannot be shown.
    """
    if not samples:
        raise ValueError("no sample to show")
    font = ImageFont.load_default(FONT_SIZE)
    cells = [_cell(sample, classes, tile) for sample in samples]
    num_panels = max(len(cell.panels) for cell in cells)
    in_row = max(1, min(columns // num_panels, len(cells)))
    cell_width, cell_height = num_panels * (tile + GAP) - GAP, tile + GAP + 2 * LINE
    width = MARGIN + in_row * (cell_width + MARGIN)
    entries = list(_legend(samples, classes, width, font))
    top_of_legend = MARGIN + -(-len(cells) // in_row) * (cell_height + MARGIN)
    height = top_of_legend + (entries[-1].y + LINE + MARGIN if entries else 0)
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, cell in enumerate(cells):
        x = MARGIN + number % in_row * (cell_width + MARGIN)
        y = MARGIN + number // in_row * (cell_height + MARGIN)
        for index, panel in enumerate(cell.panels):
            left = x + index * (tile + GAP)
            draw.rectangle((left, y, left + tile - 1, y + tile - 1), BEHIND)
            middle = (left + (tile - panel.shape[1]) // 2, y + (tile - panel.shape[0]) // 2)
            sheet.paste(Image.fromarray(panel), middle)
        draw.text((x, y + tile + GAP), _start(cell.told, cell_width, font), INK, font)
        draw.text((x, y + tile + GAP + LINE), _end(cell.key, cell_width, font), PALE_INK, font)
    for entry in entries:
        y = top_of_legend + entry.y
        draw.rectangle((entry.x, y + 3, entry.x + 11, y + 14), entry.colour)
        draw.text((entry.x + 17, y), entry.name, INK, font)
    return np.asarray(sheet)


def _cell(sample: Sample, classes: Sequence[str], tile: int) -> _Cell:
    match sample:
        case PlainImage(key, image):
            return _Cell((_fitted(image, tile),), _size(image), key)
        case LabelledImage(key, image, label):
            return _Cell((_fitted(image, tile),), _name(classes, label), key)
        case MaskedImage(key, image, mask):
            indices, counts = np.unique(mask[mask != IGNORED], return_counts=True)
            largest_first = [_name(classes, int(index)) for index in indices[np.argsort(-counts, kind="stable")]]
            panels = (_fitted(image, tile), _fitted(_covered(image, mask), tile))
            return _Cell(panels, ", ".join(largest_first) or "no class", key)
        case ImagePair(key, high, low_by_scale):
            ((scale, low),) = low_by_scale.items()
            parts = (high, *_middles(high, low, scale, tile))
            return _Cell(tuple(_fitted(part, tile) for part in parts), f"{_size(high)}, x{scale} of {_size(low)}", key)
    raise ValueError(f"no preview of a {type(sample).__name__}")


def _fitted(image: UInt8Image, tile: int) -> UInt8Image:
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer > tile:
        size = (max(1, round(width * tile / longer)), max(1, round(height * tile / longer)))
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    return _enlarged(image, tile // longer)


def _enlarged(image: UInt8Image, factor: int) -> UInt8Image:
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def _covered(image: UInt8Image, mask: UInt8Image) -> UInt8Image:
    colours = np.array([_colour(index) for index in range(256)])
    cover = COVER * (mask != IGNORED)[:, :, None]
    mixed: UInt8Image = np.round(image * (1 - cover) + colours[mask] * cover).astype(np.uint8)
    return mixed


def _middles(high: UInt8Image, low: UInt8Image, scale: int, tile: int) -> tuple[UInt8Image, UInt8Image]:
    """The same part of both, as large as a tile shows at full resolution."""
    height, width = (min(side, max(1, tile // scale)) for side in low.shape[:2])
    top, left = (low.shape[0] - height) // 2, (low.shape[1] - width) // 2
    of_low = low[top : top + height, left : left + width]
    of_high = high[top * scale : (top + height) * scale, left * scale : (left + width) * scale]
    return _enlarged(of_low, scale), of_high


def _colour(index: int) -> tuple[int, int, int]:
    """A class's colour: steps of the golden ratio round the circle of hues, in three degrees of brightness."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.618034 % 1, 0.85, (0.7, 0.5, 1.0)[index % 3])
    return round(red * 255), round(green * 255), round(blue * 255)


class _Entry(NamedTuple):
    x: int
    y: int  # from the top of the legend
    name: str
    colour: tuple[int, int, int]


def _legend(samples: Sequence[Sample], classes: Sequence[str], width: int, font: Font) -> Iterator[_Entry]:
    """The classes of all masks, in lines as wide as the sheet."""
    masks = [np.unique(sample.mask) for sample in samples if isinstance(sample, MaskedImage)]
    x, y = MARGIN, 0
    for index in np.unique(np.concatenate(masks)).tolist() if masks else []:
        if index != IGNORED:
            name = _start(_name(classes, index), width - 2 * MARGIN - 17, font)
            taken = 17 + round(font.getlength(name))
            if x > MARGIN and x + taken > width - MARGIN:
                x, y = MARGIN, y + LINE
            yield _Entry(x, y, name, _colour(index))
            x += taken + MARGIN


def _name(classes: Sequence[str], index: int) -> str:
    return classes[index] if index < len(classes) else str(index)


def _size(image: UInt8Image) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"


def _start(text: str, width: int, font: Font) -> str:
    """As much of the text's beginning as fits."""
    if font.getlength(text) <= width:
        return text
    return next(
        (text[:stop] + "…" for stop in range(len(text), 0, -1) if font.getlength(text[:stop] + "…") <= width), ""
    )


def _end(text: str, width: int, font: Font) -> str:
    """As much of the text's end as fits: keys of one class differ there."""
    return _start(text[::-1], width, font)[::-1]
