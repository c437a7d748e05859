"""Task -> checkpoint: the loop and what it needs; it knows tensors, and no Ray, DVC or MLflow."""
