"""MNIST and Fashion-MNIST: grey pictures of 28x28 pixels in ten classes, in files of the same names.

It knows nothing of shards. A part of the training set may be drawn as ``val``; neither has a published one.
"""

from wavemix.data.raw.archives import RawFolder
from wavemix.data.raw.arrays import Part, labelled
from wavemix.data.raw.idx import read_idx
from wavemix.data.raw.items import RawSet

FILES = {"train": ("train", 60_000), "test": ("t10k", 10_000)}  # the papers' counts
DIGITS = tuple("0123456789")
FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def read(*, root: RawFolder, val_fraction: float, seed: int) -> RawSet:
    """MNIST in the order of its files.

    Raises:
        DataError: A file is missing or damaged, pictures and labels do not fit, or nothing is left to train on.

    Source: the four files ``{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz`` of LeCun, Cortes and Burges.
    """
    return _read("mnist", DIGITS, root, val_fraction, seed)


def read_fashion(*, root: RawFolder, val_fraction: float, seed: int) -> RawSet:
    """Fashion-MNIST in the order of its files, which cannot be told from those of MNIST: keep them in a folder of their
    own.

    Raises:
        DataError: As with MNIST.

    Source: Xiao et al., Fashion-MNIST (2017), table 2 for the classes.
    """
    return _read("fashion_mnist", FASHION, root, val_fraction, seed)


def _read(name: str, classes: tuple[str, ...], root: RawFolder, val_fraction: float, seed: int) -> RawSet:
    parts = {part: Part(*read_idx(root, prefix), published) for part, (prefix, published) in FILES.items()}
    return labelled(name, parts, {"val": val_fraction}, seed, classes, root)
