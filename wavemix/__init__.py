"""Training of WaveMix image models, from raw pictures to a tracked and reported model."""
