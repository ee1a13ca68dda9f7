"""Load and soak tests: both services on loopback, where five of a hundred requests fail."""
