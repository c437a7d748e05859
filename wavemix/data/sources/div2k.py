"""DIV2K: pictures in 2K resolution and their low resolutions, as published or made here from the high ones.

It knows nothing of shards. The 100 pictures of test were never published.
"""

from wavemix.data.raw.archives import RawFolder
from wavemix.data.raw.counterparts import check_counterparts, matching
from wavemix.data.raw.items import Item, RawSet, fingerprint_of
from wavemix.data.raw.pairs import Pair, reader_of, told_of

COUNTS = {"train": 800, "val": 100}  # Agustsson and Timofte 2017: 0001 to 0800, and 0801 to 0900
PUBLISHED = {"train": "DIV2K_train", "val": "DIV2K_valid"}


def read(*, root: RawFolder, scales: tuple[int, ...], low: str, subset: bool) -> RawSet:
    """The pictures in the order of their numbers, which are their keys.

    Args:
        root: The user's folder, with the zips as published or what they hold.
        scales: Of 2, 3 and 4.
        low: ``published`` takes the bicubic ones of the data set; ``made`` shrinks the high resolutions, cropped at the
            bottom and right to a multiple of the scale, by ``imresize``, and needs no archive but those of them.
        subset: Low resolutions without a high one are left out.

    Raises:
        DataError: Files are missing, or a picture has no counterpart.

    Source: DIV2K_train_HR.zip, DIV2K_train_LR_bicubic_X2.zip (3, 4), and the same of DIV2K_valid.
    """
    pairs = {
        split: _pairs(root, name, scales if low == "published" else (), subset=subset)
        for split, name in PUBLISHED.items()
    }
    return RawSet(
        schema="image_pair",
        classes=(),
        items={split: [Item(key, None, pair) for key, pair in some.items()] for split, some in pairs.items()},
        read=reader_of(low, scales),
        fingerprint=fingerprint_of([low, scales, *((split, told_of(some.values())) for split, some in pairs.items())]),
        expected=COUNTS,
    )


def _pairs(root: RawFolder, name: str, scales: tuple[int, ...], *, subset: bool) -> dict[str, Pair]:
    highs = matching("*.png", root.under(f"{name}_HR", f"{name}_HR.zip"))
    lows = {}
    for scale in scales:
        folder, pattern = f"{name}_LR_bicubic/X{scale}", f"*x{scale}.png"
        lows[scale] = matching(pattern, root.under(folder, f"{name}_LR_bicubic_X{scale}.zip"))
        told = (highs, f"{name}_HR/*.png", lows[scale], f"{folder}/{pattern}")
        check_counterparts(*told, where=root.path, subset=subset)
    return {key: Pair(high, {scale: lows[scale][key] for scale in scales}) for key, high in highs.items()}
