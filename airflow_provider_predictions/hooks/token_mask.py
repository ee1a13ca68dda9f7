"""Hide fetched tokens in Airflow's logs."""

from __future__ import annotations

from airflow_provider_predictions._compat import mask_secret, unmask_secret
from airflow_provider_predictions.api.limits import MAX_MASKED_TOKENS


class TokenMask:
    """Masks the newest tokens of a credential. A replaced one may still be in a request, so it stays masked.

    Airflow's masker forgets nothing. Each token would slow it down, and after about 800 that of Airflow 2.11
    fails ("pattern too large").
    """

    def __init__(self) -> None:
        self._masked: list[str] = []

    def __call__(self, token: str) -> None:
        """Mask a token. An endpoint may send the same one again."""
        self._masked = [*(masked for masked in self._masked if masked != token), token]
        if len(self._masked) > MAX_MASKED_TOKENS:
            unmask_secret(self._masked.pop(0))
        mask_secret(token)
