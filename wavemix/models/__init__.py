"""The networks, as plain modules with flat keyword arguments; they know torch, and no task, data or configuration."""

from wavemix.models.blocks import WaveMixBlock
from wavemix.models.count import count_parameters, multiply_adds, torchinfo_multiply_adds
from wavemix.models.fuse import fuse_for_inference, layer_by_layer
from wavemix.models.published import load_published
from wavemix.models.wavelet import dwt, haar_dwt, haar_idwt, idwt, wavelet_filters
from wavemix.models.wavemix import WaveMixClassifier, WaveMixSegmenter
from wavemix.models.wavemix_sr import WaveMixSR, WaveMixSRV2
from wavemix.models.wavepaint import WavePaint
from wavemix.models.zoo import ZOO, build_model, find_entry, list_models

__all__ = [
    "ZOO",
    "WaveMixBlock",
    "WaveMixClassifier",
    "WaveMixSR",
    "WaveMixSRV2",
    "WaveMixSegmenter",
    "WavePaint",
    "build_model",
    "count_parameters",
    "dwt",
    "find_entry",
    "fuse_for_inference",
    "haar_dwt",
    "haar_idwt",
    "idwt",
    "layer_by_layer",
    "list_models",
    "load_published",
    "multiply_adds",
    "torchinfo_multiply_adds",
    "wavelet_filters",
]
