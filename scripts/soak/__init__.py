"""Load and soak: both services on loopback, where five of a hundred requests go wrong."""
