"""A stage on a cluster, from here: sent as a job of Ray's, followed, and its outputs brought back."""
