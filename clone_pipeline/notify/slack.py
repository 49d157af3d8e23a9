"""A message to a channel in Slack, through Dagster's own integration."""

from __future__ import annotations

from collections.abc import Sequence
from http.client import HTTPException

from dagster_slack import SlackResource
from slack_sdk.errors import SlackApiError, SlackClientError

from clone_pipeline.notify import message
from clone_pipeline.notify.errors import NotDelivered
from clone_pipeline.notify.told import Event

_SECONDS = 5
_PASSES = {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable"}


def send_slack(channel: str, token: str, api_url: str | None, events: Sequence[Event]) -> None:
    """Posts the message once. Raises NotDelivered."""
    client = SlackResource(token=token).get_client()
    client.timeout = _SECONDS
    client.retry_handlers = []
    if api_url is not None:
        client.base_url = api_url if api_url.endswith("/") else f"{api_url}/"
    try:
        client.chat_postMessage(
            channel=channel, text=message.text(events), unfurl_links=False, unfurl_media=False
        )
    except SlackApiError as error:
        raise _refused(error) from None
    except TimeoutError:
        raise NotDelivered(f"did not answer within {_SECONDS} s.", passes=True) from None
    except (OSError, HTTPException, SlackClientError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise NotDelivered(f"cannot be reached ({reason}).", passes=True) from None


def _refused(error: SlackApiError) -> NotDelivered:
    status = getattr(error.response, "status_code", 200)
    if status != 200:
        passes = status == 429 or status >= 500
        return NotDelivered(f"answered with status {status}.", passes=passes)
    code = str(error.response.get("error"))
    return NotDelivered(f"refused the message: {code}.", passes=code in _PASSES)
