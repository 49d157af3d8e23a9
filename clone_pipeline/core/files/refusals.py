"""What the refusals of an S3 mean for a single file, or for all.

A 200 may carry an error in its body, of a copy above all: the client reads it, takes it for a 500,
and asks again (botocore.handlers._handle_200_error).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from ..errors import InvalidRequest, StoreUnavailable
from ..objects.s3 import ATTEMPTS, BUSY, sentence, unusable

_CONDITION_FAILED = (409, 412)


class Missing(Exception):
    """There is no such file, or no such bucket."""


class Refused(Exception):
    """The store does not give the file out, or does not take it; says what it said."""


class Changed(Exception):
    """A condition does not hold: the source is another one by now, or the target is there."""


@contextmanager
def translated(where: str) -> Iterator[None]:
    """What the client raises of the store at `where`, as what it means: Missing, Refused, Changed
    of a single file; InvalidRequest, StoreUnavailable of all."""
    try:
        yield
    except ClientError as error:
        raise _meaning(error, where) from error
    except ParamValidationError as error:
        raise Missing from error  # nothing can be there under such a name
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InvalidRequest(
            "To copy S3 files needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        ) from error
    except (
        ConnectionError,
        HTTPClientError,
        IncompleteReadError,
        CredentialRetrievalError,
    ) as error:
        raise StoreUnavailable(
            f"The object store {where} cannot be reached: {sentence(error)}."
        ) from error
    except BotoCoreError as error:
        raise unusable(error) from error


def _meaning(error: ClientError, where: str) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in ("NoSuchKey", "NoSuchBucket", "NoSuchUpload") or status in (404, 410):
        return Missing()
    if status in _CONDITION_FAILED:
        return Changed()
    if status in BUSY or status < 300:
        # A 200 whose body says that it failed stays one, however often it is tried.
        return StoreUnavailable(
            f"The object store {where} answered {code or status} to {ATTEMPTS} attempts."
        )
    return Refused(code or str(status))
