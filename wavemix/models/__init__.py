"""The networks, as plain modules with flat keyword arguments; they know torch, and no task, data or configuration."""

from wavemix.models.blocks import WaveMixBlock
from wavemix.models.published import load_published
from wavemix.models.wavelet import haar_dwt, haar_idwt
from wavemix.models.wavemix import WaveMixClassifier

__all__ = ["WaveMixBlock", "WaveMixClassifier", "haar_dwt", "haar_idwt", "load_published"]
