"""One file per DVC stage: argv -> params -> one call -> files out."""
