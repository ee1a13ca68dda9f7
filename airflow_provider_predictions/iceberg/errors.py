"""Turn what pyiceberg raises into errors of this package."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

from pyiceberg import exceptions
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from airflow_provider_predictions.api.errors import ConfigurationError, PredictionsError, StorageError
from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH
from airflow_provider_predictions.storage.errors import replaced_errors

_REFUSED = (exceptions.UnauthorizedError, exceptions.ForbiddenError, exceptions.OAuthError)
_WRONG = (
    exceptions.BadRequestError,
    exceptions.NoSuchNamespaceError,
    exceptions.NoSuchTableError,
    exceptions.NotInstalledError,
    exceptions.ValidationError,
    ImportError,
    TypeError,
    ValueError,
)
_NO_BUCKET = re.compile("NO_SUCH_BUCKET|NoSuchBucket|bucket does not exist", re.IGNORECASE)
_NO_ACCESS = re.compile("ACCESS_DENIED|Access Denied|INVALID_ACCESS_KEY|SIGNATURE_DOES_NOT_MATCH")
_NO_FILE = re.compile("unable to open database file")


def catalog_errors(done: str) -> AbstractContextManager[None]:
    """Turn what pyiceberg, its storage and its catalog raise into an error of this package.

    :param done: what could not be done, such as ``be opened``.
    :raises ConfigurationError: if a retry cannot cure it.
    :raises StorageError: for everything else.
    """
    return replaced_errors(lambda error: _explain(error, f"catalog: cannot {done}: {_words(error)}"))


def _explain(error: Exception, what: str) -> PredictionsError:
    if isinstance(error, _REFUSED):
        return ConfigurationError(f"{what}. The catalog refuses the credentials of the connection")
    text = str(error)
    if isinstance(error, OSError | DBAPIError):
        if _NO_BUCKET.search(text):
            return ConfigurationError(f"{what}. Create the bucket of the catalog's warehouse")
        if _NO_ACCESS.search(text) or isinstance(error, PermissionError):
            return ConfigurationError(f"{what}. Let the credentials of the catalog read and write there")
        if _NO_FILE.search(text):
            return ConfigurationError(f"{what}. Create its directory, or correct its uri")
    elif isinstance(error, (*_WRONG, SQLAlchemyError)):
        return ConfigurationError(f"{what}. Correct its properties")
    return StorageError(f"{what}. The table is as it was; a retry commits each landing once")


def _words(error: Exception) -> str:
    """The first line of the error, without a server's response, SQL and secrets of URLs."""
    name = type(error).__name__
    if isinstance(error, exceptions.RESTError) or type(error).__module__.startswith("requests"):
        return name
    cause = getattr(error, "orig", None) or error
    first, *_ = str(cause).strip().splitlines() or [""]
    plain = re.sub(r"\?\S*", "", re.sub(r"://[^/\s@]*@", "://", first))
    return f"{name}: {plain[:MAX_MESSAGE_LENGTH].rstrip('.')}"
