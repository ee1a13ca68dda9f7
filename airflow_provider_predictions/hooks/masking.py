"""Tokens in Airflow's masker, which come and go."""

from __future__ import annotations

from collections import OrderedDict

from airflow_provider_predictions._compat import mask_secret, unmask_secret

NEWEST = 10
"""Tokens of a credential that stay masked: one that was replaced may be on its way in a request yet."""


class TokenMask:
    """Masks the newest tokens of a credential in what Airflow logs.

    The masker itself forgets nothing: it would need longer for each token than for the one before, and after
    about 800 that of Airflow 2.11 fails at whatever it is told ("pattern too large").
    """

    def __init__(self) -> None:
        self._masked: OrderedDict[str, None] = OrderedDict()

    def __call__(self, token: str) -> None:
        """Mask a token.

        :param token: it may have been told before, where an endpoint gives the same one again.
        """
        self._masked[token] = None
        self._masked.move_to_end(token)
        if len(self._masked) > NEWEST:
            spent, _ = self._masked.popitem(last=False)
            unmask_secret(spent)
        mask_secret(token)
