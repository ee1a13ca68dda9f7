"""From a response to the next request. Nothing here does I/O."""
