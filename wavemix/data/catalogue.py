"""Where the published sets are: files that anyone may fetch, and for the other sets what a person has to do.

No file is listed without a digest that others have published. It fetches nothing and knows no layout.

Source: sizes and digests of TensorFlow Datasets (url_checksums), of torchvision (Places365, large) and of astroNN
(Galaxy10); that of Tiny ImageNet is the one in common use.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import urlsplit


class Remote(NamedTuple):
    """A published file."""

    url: str
    sha256: str
    size: int | None = None  # bytes; None where only the server knows

    @property
    def name(self) -> str:
        """The last part of the address: where sources look for it."""
        return PurePosixPath(urlsplit(self.url).path).name


class Download(NamedTuple):
    """All files of a set, and what their publisher asks of those who use them."""

    terms: str
    files: tuple[Remote, ...]


Files = dict[str, tuple[str, int | None]]
"""The sha256 of each, and how many bytes it has."""


def _at(base: str, files: Files) -> tuple[Remote, ...]:
    return tuple(Remote(base + name, *told) for name, told in files.items())


MNIST: Files = {
    "train-images-idx3-ubyte.gz": ("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
    "train-labels-idx1-ubyte.gz": ("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
    "t10k-images-idx3-ubyte.gz": ("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
    "t10k-labels-idx1-ubyte.gz": ("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
}
FASHION_MNIST: Files = {
    "train-images-idx3-ubyte.gz": ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
    "train-labels-idx1-ubyte.gz": ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
    "t10k-images-idx3-ubyte.gz": ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
    "t10k-labels-idx1-ubyte.gz": ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
}
EMNIST: Files = {"gzip.zip": ("fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e", 561_753_746)}
CIFAR10: Files = {
    "cifar-10-binary.tar.gz": ("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", 170_052_171),
}
CIFAR100: Files = {
    "cifar-100-binary.tar.gz": ("58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", 168_513_733),
}
SVHN: Files = {
    "train_32x32.mat": ("435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8", 182_040_794),
    "test_32x32.mat": ("cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b", 64_275_384),
}
SVHN_EXTRA: Files = {
    "extra_32x32.mat": ("a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3", 1_329_278_602),
}
GALAXY10: Files = {"Galaxy10_DECals.h5": ("19aefc477c41bb7f77ff07599a6b82a038dc042f889a111b0d4d98bb755c1571", None)}
TINY_IMAGENET: Files = {
    "tiny-imagenet-200.zip": ("6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821", 248_100_043),
}
PLACES365: Files = {
    "filelist_places365-standard.tar": ("520699e00d69b63ddc29fac54645aa00ce1c10ca42e288960aa1cf791d6e9aa9", 67_498_496),
}
PLACES365_256: Files = {
    "train_256_places365standard.tar": (
        "0ade5d7d38c682aa0203014a2b99ad3bf608bf1de0f151dc0d80efba54660a0a",
        26_103_685_120,
    ),
    "val_256.tar": ("24b4e639ef12a0012af525bc4cb443e4ab4aaea8369a1fb009b70e4a4aad5d48", 525_158_400),
}
PLACES365_LARGE: Files = {
    "train_large_places365standard.tar": ("dd232ce786836fcb0aa6d30032a95de095e79ed9ff08faeb16309a89eb8f3c97", None),
    "val_large.tar": ("ddd71c418592a4c230645e238f9e52de77247461d68cd9a14a080a9ca6f27df6", None),
}
INATURALIST: Files = {
    "train_mini.tar.gz": ("faedb949568676e35cc0088b78090a761ab29e30f53edaa65dcad87940fdc7b5", 44_636_137_542),
    "train_mini.json.tar.gz": ("7dffc85ec942b603f828229b20cf89c72072310a29954c74997d107d764c2789", 46_769_466),
    "val.tar.gz": ("f162b45fed0f676839f335968990fa0f236433d6123bb07b7591f6732c56455d", 8_931_661_582),
    "val.json.tar.gz": ("d63dfdb2e5fbc0262373833ed3fd02030787bd4b5cf2bd4ff3caea6d3f4e2970", 9_797_665),
}
DIV2K: Files = {
    "DIV2K_train_HR.zip": ("9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335", 3_530_603_713),
    "DIV2K_train_LR_bicubic_X2.zip": ("a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850", 925_390_592),
    "DIV2K_train_LR_bicubic_X3.zip": ("ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a", 427_847_282),
    "DIV2K_train_LR_bicubic_X4.zip": ("f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a", 246_914_039),
    "DIV2K_valid_HR.zip": ("20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc", 448_993_893),
    "DIV2K_valid_LR_bicubic_X2.zip": ("60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57", 117_763_600),
    "DIV2K_valid_LR_bicubic_X3.zip": ("04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3", 54_513_392),
    "DIV2K_valid_LR_bicubic_X4.zip": ("a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553", 31_505_881),
}

_CIFAR, _SVHN = "https://www.cs.toronto.edu/~kriz/", "http://ufldl.stanford.edu/housenumbers/"
_PLACES = "http://data.csail.mit.edu/places/places365/"
_RESEARCH = "for non-commercial research and education alone"

DOWNLOADS: Mapping[str, Download] = {
    "mnist": Download("no terms stated", _at("https://storage.googleapis.com/cvdf-datasets/mnist/", MNIST)),
    "fashion_mnist": Download(
        "MIT licence", _at("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", FASHION_MNIST)
    ),
    "emnist": Download("no terms stated", _at("https://biometrics.nist.gov/cs_links/EMNIST/", EMNIST)),
    "cifar10": Download("no terms stated; cite the report", _at(_CIFAR, CIFAR10)),
    "cifar100": Download("no terms stated; cite the report", _at(_CIFAR, CIFAR100)),
    "svhn": Download("for non-commercial use alone", _at(_SVHN, SVHN)),
    "svhn_extra": Download("for non-commercial use alone", _at(_SVHN, SVHN | SVHN_EXTRA)),
    "galaxy10": Download(
        "cite and acknowledge its sources", _at("https://zenodo.org/records/10845026/files/", GALAXY10)
    ),
    "tiny_imagenet": Download(f"pictures of ImageNet, {_RESEARCH}", _at("https://cs231n.stanford.edu/", TINY_IMAGENET)),
    "places365": Download(_RESEARCH, _at(_PLACES, PLACES365 | PLACES365_256)),
    "places365_large": Download(_RESEARCH, _at(_PLACES, PLACES365 | PLACES365_LARGE)),
    "inaturalist": Download(
        f"{_RESEARCH}; pictures, and shards with them, may not be passed on",
        _at("https://ml-inat-competition-datasets.s3.amazonaws.com/2021/", INATURALIST),
    ),
    "div2k": Download("for academic research alone", _at("https://data.vision.ee.ethz.ch/cvl/DIV2K/", DIV2K)),
}
"""By name of the source; ``_large`` and ``_extra`` go with its options."""

BY_HAND: Mapping[str, str] = {
    "imagenet": (
        "register at image-net.org, accept its terms (non-commercial research), and fetch of ILSVRC2012\n"
        "ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz; or join Kaggle's\n"
        "ImageNet Object Localization Challenge and fetch imagenet-object-localization-challenge.zip"
    ),
    "cityscapes": (
        "register at cityscapes-dataset.com with your institution's address, accept its terms (non-commercial),\n"
        "and fetch leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip"
    ),
    "celeba_hq": (
        "accept the terms (non-commercial research) at github.com/switchablenorms/CelebAMask-HQ and fetch\n"
        "CelebAMask-HQ.zip; for the split of LaMa, also train_shuffled.flist and val_shuffled.flist of fetch_data in\n"
        "github.com/advimman/lama (whose section on CelebA-HQ has data256x256.zip, if 256 pixels are enough)"
    ),
    "sr_benchmark": (
        "fetch benchmark.tar (Set5, Set14, B100 and Urban100), to which the README of\n"
        "github.com/sanghyun-son/EDSR-PyTorch points; no digest of it is known here"
    ),
}
"""By name of the source, what a person has to do; the files go into its ``root``, as they come."""
