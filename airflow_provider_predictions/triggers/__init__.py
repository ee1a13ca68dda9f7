"""Wait without a worker."""
