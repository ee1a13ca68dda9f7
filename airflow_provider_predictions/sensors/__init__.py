"""Waiting until predictions are finished."""
