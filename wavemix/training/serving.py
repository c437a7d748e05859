"""A trained model as a function from pictures to answers, in plain arrays: what is served where no truth is known.

It decides the layout of both for each task. It knows no server, no file and no score.

Shapes: n = pictures, h, w = height, width, k = classes, s = scale.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wavemix.data.decode import UInt8Image, decode_image
from wavemix.data.loader import stack
from wavemix.data.schema import ImagePair, LabelledImage, MaskedImage, Sample
from wavemix.errors import DataError
from wavemix.tasks import Batch
from wavemix.training.evaluation import to_device
from wavemix.training.trained import Trained

Answer = NDArray[np.generic]


@dataclass(frozen=True)
class Served:
    """What goes in, uint8 ``[n, h, w, channels]``, and what comes out; -1 stands for any size."""

    channels: int
    answer: Callable[[Trained, NDArray[np.uint8]], Answer]
    answer_dtype: type[np.generic]
    answer_shape: Callable[[int], tuple[int, ...]]  # of the number of classes


def predict(trained: Trained, images: NDArray[np.uint8]) -> Answer:
    """The answers to some pictures, in 0..255.

    Args:
        trained: The model, in evaluation mode on the CPU.
        images: RGB ``[n, h, w, 3]``. For inpainting ``[n, h, w, 4]``: what is not 0 in the fourth channel is hole.

    Returns:
        classification: probabilities, float32 ``[n, k]``; the picture is resized and cropped as in evaluation.
        segmentation: class indices, uint8 ``[n, h, w]``.
        super_resolution: RGB, uint8 ``[n, s h, s w, 3]``.
        inpainting: RGB, uint8 ``[n, h, w, 3]``, at the picture's own size; known pixels come back as they were.

    Raises:
        DataError: The array has another layout.
    """
    served = SERVED[trained.info["task"]["name"]]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != served.channels or 0 in images.shape:
        raise DataError(
            f"pictures: found {images.dtype} of shape {list(images.shape)}; give uint8 [n, h, w, {served.channels}]"
        )
    with torch.inference_mode():
        return served.answer(trained, images)


def _probabilities(trained: Trained, images: NDArray[np.uint8]) -> Answer:
    batch = _batch([trained.task.eval_transform(LabelledImage("", image, 0)) for image in images])
    return trained.task.predict(trained.model, batch).softmax(dim=1).numpy()


def _class_indices(trained: Trained, images: NDArray[np.uint8]) -> Answer:
    unknown = np.zeros(images.shape[1:3], np.uint8)
    batch = _batch([trained.task.eval_transform(MaskedImage("", image, unknown)) for image in images])
    return trained.task.predict(trained.model, batch).argmax(dim=1).to(torch.uint8).numpy()


def _enlarged(trained: Trained, images: NDArray[np.uint8]) -> Answer:
    scale: int = trained.info["task"]["scale"]
    _, height, width, channels = images.shape
    unknown = np.zeros((height * scale, width * scale, channels), np.uint8)
    return _pictures(trained, _batch([ImagePair("", unknown, {scale: image}) for image in images]))


def _filled(trained: Trained, images: NDArray[np.uint8]) -> Answer:
    picture_n3hw = torch.from_numpy(np.ascontiguousarray(images[..., :3].transpose(0, 3, 1, 2)))
    mask_n1hw = torch.from_numpy(images[..., 3] > 0)[:, None]
    return _pictures(trained, to_device({"image": picture_n3hw, "mask": mask_n1hw}, torch.device("cpu")))


def _pictures(trained: Trained, batch: Batch) -> UInt8Image:
    answer = trained.task.predict(trained.model, batch)
    return np.stack([decode_image(picture) for picture in trained.task.encode(answer, batch)])


def _batch(samples: Sequence[Sample]) -> Batch:
    return to_device(stack([sample.fields() for sample in samples]), torch.device("cpu"))


SERVED: Mapping[str, Served] = {
    "classification": Served(3, _probabilities, np.float32, lambda num_classes: (-1, num_classes)),
    "inpainting": Served(4, _filled, np.uint8, lambda _: (-1, -1, -1, 3)),
    "segmentation": Served(3, _class_indices, np.uint8, lambda _: (-1, -1, -1)),
    "super_resolution": Served(3, _enlarged, np.uint8, lambda _: (-1, -1, -1, 3)),
}
"""By the task's name in params.yaml; all of them."""
