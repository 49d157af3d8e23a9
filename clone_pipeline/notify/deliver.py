"""Messages to targets, all of them at once. What keeps one from a target is one sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay
from tenacity.wait import wait_random_exponential

from clone_pipeline.addresses import check_address
from clone_pipeline.core.secrets import mask
from clone_pipeline.notify.errors import NotDelivered
from clone_pipeline.notify.told import Event
from clone_pipeline.notify.webhook import send_webhook
from clone_pipeline.policies.targets import Target
from clone_pipeline.settings import read_variable
from clone_pipeline.variables import FromEnvironment

# A tick has a minute for everything; the next one tries again.
_ATTEMPTS = 3
_SECONDS = 12.0
_SHORTEST_SECRET = 16

Clock = Callable[[], datetime]


def deliver(
    news: Sequence[tuple[Target, Sequence[Event]]], clock: Clock, patience: float = _SECONDS
) -> dict[str, str | None]:
    """Tells each target its events. By name of the target: why it was not reached, None if it was.

    `patience`: after so many seconds nothing is tried once more.
    """
    if not news:
        return {}
    with ThreadPoolExecutor(max_workers=len(news)) as threads:
        said = {
            target.name: threads.submit(_deliver, target, events, clock, patience)
            for target, events in news
        }
    return {name: future.result() for name, future in said.items()}


def _deliver(target: Target, events: Sequence[Event], clock: Clock, patience: float) -> str | None:
    retrying = Retrying(
        retry=retry_if_exception(lambda error: getattr(error, "passes", False)),
        wait=wait_random_exponential(multiplier=0.5, max=2),
        stop=stop_after_attempt(_ATTEMPTS) | stop_after_delay(patience),
        reraise=True,
    )
    try:
        retrying(_sender(target, events, clock))
    except NotDelivered as error:
        return mask(f"{target.name} ({target.where}) {error}")
    return None


def _sender(target: Target, events: Sequence[Event], clock: Clock) -> Callable[[], None]:
    """Raises NotDelivered where a variable is missing."""
    if target.slack is not None and target.token is not None:
        # Late, because Dagster takes a second to import.
        from clone_pipeline.notify.slack import send_slack

        channel, token = target.slack, _value(target.token)
        return lambda: send_slack(channel, token, target.api_url, events)
    if target.webhook is None or target.secret is None:
        raise TypeError(f"{target.name} is no target that a file can have.")
    address, secret = target.webhook, _value(target.secret)
    if len(secret) < _SHORTEST_SECRET:
        raise NotDelivered(
            f"was not told: the secret in {target.secret.env} has less than {_SHORTEST_SECRET} "
            "characters."
        )
    if isinstance(address, FromEnvironment):
        address = _address(address)
    return lambda: send_webhook(target.name, address, secret.encode(), events, clock())


def _address(variable: FromEnvironment) -> str:
    address = _value(variable)
    try:
        check_address(address, may_hold_secrets=True)
    except ValueError:
        raise NotDelivered(f"was not told: {variable.env} does not hold an address.") from None
    return address


def _value(variable: FromEnvironment) -> str:
    value = read_variable(variable.env)
    if value is None:
        raise NotDelivered(f"was not told: the environment variable {variable.env} is not set.")
    return value.get_secret_value()
