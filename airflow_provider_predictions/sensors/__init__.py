"""Wait until predictions are finished."""
