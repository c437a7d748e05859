"""The data sets of the papers, at the image sizes that the networks saw."""

from typing import Final

from wavemix.models.zoo.entry import Benchmark

IMAGENET: Final = Benchmark("ImageNet-1k", ((3, 224, 224),), 1000)
PLACES365: Final = Benchmark("Places-365", ((3, 224, 224),), 365)
INAT_MINI: Final = Benchmark("iNAT-2021 mini", ((3, 224, 224),), 10_000)
GALAXY10: Final = Benchmark("Galaxy10 DECals", ((3, 256, 256),), 10)
TINY_IMAGENET: Final = Benchmark("Tiny ImageNet", ((3, 64, 64),), 200)
TINY_IMAGENET_128: Final = Benchmark("Tiny ImageNet, resized", ((3, 128, 128),), 200)
CIFAR10: Final = Benchmark("CIFAR-10", ((3, 32, 32),), 10)
CIFAR100: Final = Benchmark("CIFAR-100", ((3, 32, 32),), 100)
SVHN: Final = Benchmark("SVHN", ((3, 32, 32),), 10)
MNIST: Final = Benchmark("MNIST", ((1, 28, 28),), 10)
FASHION_MNIST: Final = Benchmark("Fashion-MNIST", ((1, 28, 28),), 10)
EMNIST_BYCLASS: Final = Benchmark("EMNIST ByClass", ((1, 28, 28),), 62)
EMNIST_BYMERGE: Final = Benchmark("EMNIST ByMerge", ((1, 28, 28),), 47)
EMNIST_BALANCED: Final = Benchmark("EMNIST Balanced", ((1, 28, 28),), 47)
EMNIST_LETTERS: Final = Benchmark("EMNIST Letters", ((1, 28, 28),), 26)
EMNIST_DIGITS: Final = Benchmark("EMNIST Digits", ((1, 28, 28),), 10)

# 19 classes and the void one, which the authors' Cityscapes.py trains and scores too. Its "mIoU" divides the bitwise
# AND of the class numbers by their OR: not the mean over classes of intersection over union.
CITYSCAPES_256: Final = Benchmark("Cityscapes", ((3, 256, 512),), 20, "mIoU %")
CITYSCAPES_512: Final = Benchmark("Cityscapes", ((3, 512, 1024),), 20, "mIoU %")
CITYSCAPES_1024: Final = Benchmark("Cityscapes", ((3, 1024, 2048),), 20, "mIoU %")

# Images have any size; this is the one at which the paper's 25.8 G multiply-adds come out.
BSD100: Final = Benchmark("BSD100", ((3, 64, 64),), metric="PSNR dB")

CELEBA_HQ: Final = Benchmark("CelebA-HQ", ((3, 256, 256), (1, 256, 256)), metric="LPIPS")
PLACES256: Final = Benchmark("Places-256", ((3, 256, 256), (1, 256, 256)), metric="LPIPS")
IMAGENET_HOLES: Final = Benchmark("ImageNet, holes", ((3, 224, 224), (1, 224, 224)), metric="LPIPS")
