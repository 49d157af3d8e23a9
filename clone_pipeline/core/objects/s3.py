"""One S3, as the usual AWS variables name it: do the files that objects refer to exist?

Asked by HEAD requests only. Whoever copies files sends its own (`ObjectStore.send`).
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache, partial
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    EndpointConnectionError,
    EndpointProviderError,
    HTTPClientError,
    MissingDependencyException,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    UnsupportedOutpostResourceError,
    UnsupportedS3AccesspointConfigurationError,
    UnsupportedS3ArnError,
    UnsupportedS3ConfigurationError,
)

from ..errors import CloneError, InvalidRequest, StoreUnavailable
from ..words import Option
from .address import FilesAddress
from .connections import Connections, NotAnswered, OddlyAnswered, Response
from .location import ARN, bucket_and_key, is_elsewhere, is_s3
from .signing import Credentials, Route

NAMED = 100  # how many missing and how many unreadable files are named; the rest is counted

_MOST_CONCURRENT = 64
_HANDFUL = 8  # of files that a thread is given at once
ATTEMPTS = 4
_TIMEOUTS = (5.0, 30.0)
_PLAIN = (200, 403, 404)  # the answers that need no second look
BUSY = (429, 500, 502, 503, 504)


@dataclass
class ObjectCheck:
    """What was found. `missing` and `unreadable` name the first hundred, as (label, location).

    A file is `unreadable` when the store refuses to tell (403): without the right to list a bucket
    S3 answers so for files that do not exist, too. `elsewhere` counts http(s) locations and
    `without_bucket` keys that no bucket belongs to: neither can be asked for.
    """

    checked: int = 0
    bytes: int = 0
    missing_count: int = 0
    missing: list[tuple[str, str]] = field(default_factory=list)
    unreadable_count: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    elsewhere: int = 0
    without_bucket: int = 0


# What the client says of an ARN that it cannot use; its host is made of the ARN.
_OF_ONEARN = (
    EndpointConnectionError,
    EndpointProviderError,
    MissingDependencyException,
    UnsupportedOutpostResourceError,
    UnsupportedS3AccesspointConfigurationError,
    UnsupportedS3ArnError,
    UnsupportedS3ConfigurationError,
)

_Files = list[tuple[str, str]]


class Answer(NamedTuple):
    """What a store says of a file: status, size in bytes, and ETag without its quotes."""

    status: int
    size: int = 0
    etag: str = ""


class _Head(NamedTuple):
    label: str
    url: str
    status: int  # 200, 404, or what else the store refused with
    size: int


def open_client(address: FilesAddress) -> Any:
    """A client of botocore for an S3, safe to use from several threads. Raises InvalidRequest for
    settings that cannot be used."""
    # A fifth of a second to import, and few commands need it.
    from botocore.config import Config
    from botocore.session import Session

    config = Config(
        signature_version="s3v4",
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=_TIMEOUTS[0],
        read_timeout=_TIMEOUTS[1],
        max_pool_connections=_MOST_CONCURRENT,
        # Not every S3 knows the checksums that the client would add by itself.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        # A session of its own: variables and files of credentials are read anew.
        session = Session(profile=address.profile)
        models = _models(session.get_config_variable("data_path"))
        session.register_component("data_loader", models)
        return session.create_client(
            "s3", address.region, endpoint_url=address.endpoint_url, config=config
        )
    except (ValueError, BotoCoreError) as error:
        raise unusable(error) from error


@cache
def _models(data_path: str | None) -> Any:
    """What botocore knows of S3. Each session would read it anew, which takes six times as long as
    all else that a client needs (botocore 1.44, measured)."""
    from botocore.loaders import create_loader

    return create_loader(data_path)


def _now() -> datetime:
    return datetime.now(timezone.utc)


class ObjectStore:
    """One S3, by the usual AWS variables. Safe to use from several threads."""

    def __init__(self, client: Any, clock: Callable[[], datetime] = _now) -> None:
        self._client = client
        self._clock = clock
        self._endpoint: str = client.meta.endpoint_url
        self._connections = Connections(partial(_tls_context, client), _TIMEOUTS)
        self._routes: dict[str, Route | None] = {}
        self._learning = threading.Lock()
        self._sent = threading.local()
        client.meta.events.register("before-send.s3.HeadObject", self._remember)

    @classmethod
    def open(cls, address: FilesAddress) -> ObjectStore:
        """No file is asked for yet. Raises InvalidRequest for settings that cannot be used."""
        return cls(open_client(address))

    def close(self) -> None:
        self._connections.close()
        self._client.close()

    def check(self, files: Iterable[tuple[str, str]], concurrency: int = 32) -> ObjectCheck:
        """Asks for every (label, location) whether it exists, `concurrency` (up to 64) at a time.

        `files` is drawn as the answers come in, so it may be of any length.

        Raises StoreUnavailable when the store cannot be reached, InvalidRequest without
        credentials.
        """
        workers = max(1, min(concurrency, _MOST_CONCURRENT))
        report = ObjectCheck()
        with _Crew(workers, self._head) as crew:
            asked = ((label, url) for label, url in files if _is_s3(url, report))
            for head in crew.answers(asked):
                _count(report, head)
        return report

    def _head(self, label: str, url: str) -> _Head:
        bucket, key = bucket_and_key(url)
        answer = self.ask(bucket, key)
        return _Head(label, url, answer.status, answer.size)

    def ask(self, bucket: str, key: str) -> Answer:
        """What the store says of a file: by the bucket's route, or by the client, which learns it.
        Raises what `check` does."""
        if bucket not in self._routes:
            with self._learning:
                if bucket not in self._routes:
                    self._sent.request = None
                    answer = self._ask_client(bucket, key)
                    if self._sent.request is not None:
                        self._routes[bucket] = _route(self._sent.request, key)
                    return answer
        response = self.send("HEAD", bucket, key)
        if response is not None and response.status in _PLAIN:
            return Answer(response.status, response.size, response.etag)
        # What is busy, moved or broken: the client knows whether to try again, and where.
        return self._ask_client(bucket, key)

    def send(
        self,
        method: str,
        bucket: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Response | None:
        """Sends a request by the bucket's route. None: the client has to send it, again maybe;
        what it was to do may be done all the same. Raises what `check` does."""
        if bucket not in self._routes:
            self.ask(bucket, key)
        route = self._routes.get(bucket)
        if route is None or not key:
            return None
        try:
            request = route.request(method, key, self._credentials(), self._clock(), headers, body)
            return self._connections.ask(route, request, body)
        except OddlyAnswered:
            self._routes[bucket] = None  # or each file would be written twice, and refused then
        except (NotAnswered, UnicodeEncodeError):
            pass
        return None

    def _ask_client(self, bucket: str, key: str) -> Answer:
        try:
            answer = self._client.head_object(Bucket=bucket, Key=key)
        except (ParamValidationError, UnicodeEncodeError):
            return Answer(404)  # nothing can exist under such a name
        except ClientError as error:
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if status in BUSY:
                raise StoreUnavailable(
                    f"The object store {self._endpoint} is busy: it answered {status} to "
                    f"{ATTEMPTS} attempts."
                ) from error
            return Answer(status)
        except BotoCoreError as error:
            translated = self._translated(error)
            if bucket.startswith(ARN) and isinstance(error, _OF_ONEARN):
                return Answer(0)  # it says nothing of other buckets
            raise translated from error
        return Answer(200, int(answer["ContentLength"]), str(answer.get("ETag", "")).strip('"'))

    def _credentials(self) -> Credentials:
        # Asked for each time: those of a role are renewed while we work.
        return Credentials(*self._client._request_signer._credentials.get_frozen_credentials()[:3])

    def _remember(self, request: Any, **_: Any) -> None:
        self._sent.request = request

    def _translated(self, error: BotoCoreError) -> CloneError:
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return InvalidRequest(
                "To look at S3 files needs credentials: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or switch it off with ",
                Option("verify_objects", "none"),
                ".",
            )
        if isinstance(error, ConnectionError | HTTPClientError | CredentialRetrievalError):
            return StoreUnavailable(
                f"The object store {self._endpoint} cannot be reached: {sentence(error)}."
            )
        return unusable(error)


class _Crew:
    """Threads that ask. Futures would cost more than the questions."""

    def __init__(self, workers: int, ask: Callable[[str, str], _Head]) -> None:
        self._ask = ask
        self._questions: SimpleQueue[tuple[int, _Files] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[int, list[_Head] | BaseException]] = SimpleQueue()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._work, name=f"s3-head-{number}", daemon=True)
            for number in range(workers)
        ]

    def __enter__(self) -> _Crew:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # What runs ends; what only waits need not start.
        self._stopping = True
        for _thread in self._threads:
            self._questions.put(None)
        for thread in self._threads:
            thread.join()

    def answers(self, files: Iterator[tuple[str, str]]) -> Iterator[_Head]:
        """In the order of the files, which are drawn as they come in. Raises what asking raised."""
        most = 2 * len(self._threads)
        early: dict[int, list[_Head]] = {}  # what waits for an earlier answer, which is under way
        asked = handed_on = 0
        for questions in _handfuls(files, 8 * most):
            while asked - handed_on - len(early) == most or len(early) >= most:
                handed_on += yield from self._receive(early, handed_on)
            self._questions.put((asked, questions))
            asked += 1
        while handed_on < asked:
            handed_on += yield from self._receive(early, handed_on)

    def _receive(self, early: dict[int, list[_Head]], awaited: int) -> Generator[_Head, None, int]:
        """Hands on what waits for no earlier answer, and says of how many handfuls it was."""
        number, answer = self._answers.get()
        if isinstance(answer, BaseException):
            raise answer
        early[number] = answer
        first = awaited
        while awaited in early:
            yield from early.pop(awaited)
            awaited += 1
        return awaited - first

    def _work(self) -> None:
        while (questions := self._questions.get()) is not None and not self._stopping:
            number, files = questions
            try:
                self._answers.put((number, [self._ask(label, url) for label, url in files]))
            except BaseException as error:
                self._answers.put((number, error))


def _handfuls(files: Iterator[tuple[str, str]], singles: int) -> Iterator[_Files]:
    """Of many files a handful is handed to a thread at once; of a few, one, so that all work."""
    yield from ([file] for file in islice(files, singles))
    while handful := list(islice(files, _HANDFUL)):
        yield handful


def _route(sent: Any, key: str) -> Route | None:
    """What the client has sent, if the rest of the bucket can be asked for in the same way."""
    from botocore.utils import get_environ_proxies

    if get_environ_proxies(sent.url):
        return None
    return Route.learned(sent.url, sent.headers, key)


def _tls_context(client: Any) -> ssl.SSLContext | None:
    """Trusts whom the client trusts; None where that cannot be told."""
    from botocore.httpsession import get_cert_path

    trusted = get_cert_path(client._endpoint.http_session._verify)
    if not isinstance(trusted, str):
        return None
    try:
        if Path(trusted).is_dir():
            return ssl.create_default_context(capath=trusted)
        return ssl.create_default_context(cafile=trusted)
    except OSError:
        return None


def unusable(error: Exception) -> InvalidRequest:
    return InvalidRequest(
        f"The S3 settings cannot be used: {sentence(error)}; S3_ENDPOINT_URL is written "
        "https://s3.example.org, the rest are the usual AWS variables."
    )


def _is_s3(url: str, report: ObjectCheck) -> bool:
    if is_s3(url):
        return True
    if is_elsewhere(url):
        report.elsewhere += 1
    else:
        report.without_bucket += 1
    return False


def _count(report: ObjectCheck, head: _Head) -> None:
    report.checked += 1
    if head.status == 200:
        report.bytes += head.size
    elif head.status in (404, 410):
        report.missing_count += 1
        if len(report.missing) < NAMED:
            report.missing.append((head.label, head.url))
    else:
        report.unreadable_count += 1
        if len(report.unreadable) < NAMED:
            report.unreadable.append((head.label, head.url))


def sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
