"""One id per request, in the answer, the log and the problem document."""

from __future__ import annotations

import re
import uuid

__all__ = ["HEADER", "accept_or_make"]

HEADER = "X-Request-ID"
_ACCEPTED = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def accept_or_make(sent: str | None) -> str:
    """Return the caller's id if it is safe to echo and log, a new one otherwise.

    Example:
        >>> accept_or_make("order-7"), len(accept_or_make("two words")), len(accept_or_make(None))
        ('order-7', 32, 32)
    """
    return sent if sent and _ACCEPTED.fullmatch(sent) else uuid.uuid4().hex
