"""Pure functions (prediction, target) -> tally; tallies add up over batches and ranks, and then become numbers."""

from wavemix.metrics.classes import Confusion, class_accuracy, confusion, top_k
from wavemix.metrics.frechet import FrechetDistance, frechet_distance
from wavemix.metrics.holes import DigestSum, by_share_of_hole, digest_sum, l1_hole
from wavemix.metrics.perceptual import Networks, lpips_distance, published_networks
from wavemix.metrics.pictures import psnr, ssim
from wavemix.metrics.regions import authors_overlap, class_iou, mean_iou, pixel_accuracy
from wavemix.metrics.tally import Ratio, Tally, add_tallies, mean_of, over_ranks, ratio, scalars

__all__ = [
    "Confusion",
    "DigestSum",
    "FrechetDistance",
    "Networks",
    "Ratio",
    "Tally",
    "add_tallies",
    "authors_overlap",
    "by_share_of_hole",
    "class_accuracy",
    "class_iou",
    "confusion",
    "digest_sum",
    "frechet_distance",
    "l1_hole",
    "lpips_distance",
    "mean_iou",
    "mean_of",
    "over_ranks",
    "pixel_accuracy",
    "psnr",
    "published_networks",
    "ratio",
    "scalars",
    "ssim",
    "top_k",
]
