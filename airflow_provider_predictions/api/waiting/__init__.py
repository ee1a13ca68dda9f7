"""What a poll asks, and whether to keep waiting. Nothing here does I/O."""
