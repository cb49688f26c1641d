"""When an answer has to leave."""

from __future__ import annotations

from dataclasses import dataclass

from vizsla.errors import FieldProblem, InvalidRequestError

__all__ = ["TIMEOUT_HEADER", "DeadlinePolicy"]

TIMEOUT_HEADER = "X-Request-Timeout-Ms"


@dataclass(frozen=True, slots=True)
class DeadlinePolicy:
    """The body's ``tmax`` wins over the header, the header over the default.

    Attributes:
        default_ms: Where the caller says nothing.
        max_ms: Granted at most, whatever the caller says.
        reserve_ratio: Share of the time kept for writing and sending the answer.

    Example:
        >>> policy = DeadlinePolicy(default_ms=200, max_ms=1000, reserve_ratio=0.1)
        >>> policy.deadline_s(50, None, received_s=10.0)
        10.045
    """

    default_ms: int
    max_ms: int
    reserve_ratio: float = 0.1

    def deadline_s(self, tmax_ms: int | None, header: str | None, received_s: float) -> float:
        """Return the monotonic second at which the search has to stop.

        Args:
            tmax_ms: From the body, or None.
            header: Value of ``X-Request-Timeout-Ms``, or None.
            received_s: Monotonic second at which the request came in.

        Raises:
            InvalidRequestError: The header is not a whole number of milliseconds above 0.
        """
        wanted_ms = tmax_ms or _header_ms(header) or self.default_ms
        usable_ms = min(wanted_ms, self.max_ms) * (1 - self.reserve_ratio)
        return received_s + usable_ms / 1000


def _header_ms(header: str | None) -> int | None:
    if header is None:
        return None
    if not (header.isascii() and header.isdigit() and 0 < len(header) <= 9 and int(header)):
        detail = "a whole number of milliseconds above 0 is needed"
        raise InvalidRequestError(
            f"{TIMEOUT_HEADER}: {detail}", (FieldProblem(TIMEOUT_HEADER, detail, "header"),)
        )
    return int(header)
