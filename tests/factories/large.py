"""Tiny copies of ImageNet, Places365, iNaturalist 2021 and Tiny ImageNet, as downloaded and as unpacked.

Each function returns what lies in the user's folder: paths and contents.
"""

import io
import json

import numpy as np

from factories.pack import Tree, as_tar, as_zip, picture


def below(folder: str, tree: Tree) -> dict[str, bytes]:
    return {f"{folder}/{path}": content for path, content in tree.items()}


# --- ImageNet: three classes; ILSVRC2012_ID 1, 2, 3 are not in the order of the wnids -------------------------------

WNIDS = {1: "n02119789", 2: "n02100735", 3: "n01440764", 4: "n00001740"}  # the fourth has children: it is no class
TRAIN = {
    "n01440764/n01440764_9.JPEG": picture(1),
    "n01440764/n01440764_18.JPEG": picture(2),
    "n02100735/n02100735_7.JPEG": picture(3, kind="PNG"),
    "n02119789/n02119789_5.JPEG": picture(4),
}
TRUTH = (2, 3, 1, 3)  # of the pictures of val, by ILSVRC2012_ID
VAL = {f"ILSVRC2012_val_{number:08d}.JPEG": picture(10 + number) for number in (1, 2, 3, 4)}
SORTED_VAL = {f"{WNIDS[TRUTH[int(name[15:23]) - 1]]}/{name}": content for name, content in VAL.items()}


def imagenet_devkit(truth: tuple[object, ...] = TRUTH) -> dict[str, bytes]:
    from scipy.io import savemat  # noqa: PLC0415  (an extra)

    fields = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object), ("num_children", object)]
    synsets = np.array([(float(key), wnid, "words", 5.0 * (key == 4)) for key, wnid in WNIDS.items()], dtype=fields)
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets.reshape(-1, 1)})
    lines = "".join(f"{number}\n" for number in truth).encode()
    data = {"data/meta.mat": meta.getvalue(), "data/ILSVRC2012_validation_ground_truth.txt": lines, "readme.txt": b""}
    return below("ILSVRC2012_devkit_t12", data)


def imagenet_tars(devkit: Tree) -> dict[str, bytes]:
    """The three archives of image-net.org; the first one is a tar of a tar per class."""
    inner: dict[str, dict[str, bytes]] = {}
    for path, content in TRAIN.items():
        wnid, name = path.split("/")
        inner.setdefault(f"{wnid}.tar", {})[name] = content
    return {
        "ILSVRC2012_img_train.tar": as_tar({name: as_tar(tree) for name, tree in reversed(inner.items())}),
        "ILSVRC2012_img_val.tar": as_tar(VAL),
        "ILSVRC2012_devkit_t12.tar.gz": as_tar(devkit, gz=True),
    }


def imagenet_kaggle() -> dict[str, bytes]:
    """Kaggle's download, unpacked; below ``imagenet-object-localization-challenge.zip`` it is the same."""
    rows = [f"{name[:23]},{WNIDS[TRUTH[int(name[15:23]) - 1]]} 85 1 499 272 \n" for name in reversed(VAL)]
    return {
        **below("ILSVRC/Data/CLS-LOC/train", TRAIN),
        **below("ILSVRC/Data/CLS-LOC/val", VAL),
        "ILSVRC/Annotations/CLS-LOC/val/ILSVRC2012_val_00000001.xml": b"<annotation/>",
        "LOC_val_solution.csv": ("ImageId,PredictionString\n" + "".join(rows)).encode(),
    }


# --- Places365: three classes, one of them three folders deep -------------------------------------------------------

PLACES_TRAIN = {
    "a/airfield/00000001.jpg": 0,
    "a/airfield/00000002.jpg": 0,
    "a/apartment_building/outdoor/00000001.jpg": 1,
    "z/zen_garden/00000001.jpg": 2,
}
PLACES_VAL = {"Places365_val_00000001.jpg": 2, "Places365_val_00000002.jpg": 0}


def places_lists() -> dict[str, bytes]:
    return {
        "categories_places365.txt": b"/a/airfield 0\n/a/apartment_building/outdoor 1\n/z/zen_garden 2\n",
        "places365_train_standard.txt": "".join(f"/{path} {label}\n" for path, label in PLACES_TRAIN.items()).encode(),
        "places365_val.txt": "".join(f"{path} {label}\n" for path, label in PLACES_VAL.items()).encode(),
        "places365_test.txt": b"Places365_test_00000001.jpg\n",
    }


def places_pictures(size: str = "256") -> dict[str, bytes]:
    side = 8 if size == "256" else 16
    train = {path: picture(number, (side, side)) for number, path in enumerate(PLACES_TRAIN)}
    val = {path: picture(100 + number, (side, side)) for number, path in enumerate(PLACES_VAL)}
    return {**below(f"data_{size}", train), **below(f"val_{size}", val)}


def places_tars(size: str = "256") -> dict[str, bytes]:
    pictures = places_pictures(size)
    train = {path: content for path, content in pictures.items() if path.startswith("data_")}
    return {
        f"train_{size}_places365standard.tar": as_tar(train),
        f"val_{size}.tar": as_tar({path: content for path, content in pictures.items() if path not in train}),
        "filelist_places365-standard.tar": as_tar(places_lists()),
    }


# --- iNaturalist 2021 mini: two species -----------------------------------------------------------------------------

SPECIES = ("00000_Animalia_Annelida_Clitellata_Haplotaxida_Lumbricidae_Lumbricus_terrestris", "00001_Animalia_Sabella")


def inaturalist(folder: str = "train_mini", species: tuple[str, ...] = SPECIES) -> dict[str, bytes]:
    """Pictures and JSON of one split, unpacked: two pictures of each species, listed from the last to the first."""
    names = [f"{folder}/{name}/{folder[:1]}b57f{number}.jpg" for name in species for number in (1, 2)]
    listed = {
        "info": {"year": 2021},
        "images": [
            {"id": 70 + number, "width": 6, "height": 4, "file_name": name, "latitude": None, "license": 0}
            for number, name in reversed(list(enumerate(names)))
        ],
        "categories": [
            {"id": index, "name": name[6:], "kingdom": "Animalia", "image_dir_name": name}
            for index, name in enumerate(species)
        ],
        "annotations": [
            {"id": number, "image_id": 70 + number, "category_id": number // 2} for number in range(len(names))
        ],
    }
    pictures = {name: picture(number) for number, name in enumerate(names)}
    return {**pictures, f"{folder}.json": json.dumps(listed).encode()}


def inaturalist_archives() -> dict[str, bytes]:
    archives = {}
    for folder in ("train_mini", "val"):
        pictures = inaturalist(folder)
        listed = {f"{folder}.json": pictures.pop(f"{folder}.json")}
        archives[f"{folder}.tar.gz"] = as_tar(pictures, gz=True)
        archives[f"{folder}.json.tar.gz"] = as_tar(listed, gz=True)
    return archives


# --- Tiny ImageNet: two classes, which wnids.txt does not sort ------------------------------------------------------


def tiny_imagenet() -> dict[str, bytes]:
    """The folder as unpacked; ``tiny-imagenet-200.zip`` holds the same."""
    boxes = "val_{}.JPEG\t{}\t0\t32\t44\t62\n"
    files = {
        "wnids.txt": b"n02124075\nn01443537\n",
        "words.txt": b"n01443537\tgoldfish\n",
        "train/n01443537/n01443537_boxes.txt": b"n01443537_0.JPEG\t0\t10\t63\t58\n",
        "train/n01443537/images/n01443537_0.JPEG": picture(1),
        "train/n01443537/images/n01443537_1.JPEG": picture(2),
        "train/n02124075/images/n02124075_0.JPEG": picture(3),
        "val/val_annotations.txt": (boxes.format(0, "n02124075") + boxes.format(1, "n01443537")).encode(),
        "val/images/val_0.JPEG": picture(4),
        "val/images/val_1.JPEG": picture(5),
        "test/images/test_0.JPEG": picture(6),
    }
    return below("tiny-imagenet-200", files)


def tiny_imagenet_zip(tree: Tree) -> dict[str, bytes]:
    return {"tiny-imagenet-200.zip": as_zip(tree)}
