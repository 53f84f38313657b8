"""Every exception Seawall raises on purpose, split by who must act.

Each message reads *place: fault. remedy.* and never holds a secret. Exit codes are part of the
command line's contract (`docs/reference/exit-codes.md`).
"""

from __future__ import annotations


class SeawallError(Exception):
    """Something went wrong that the reader of the message can act on."""

    exit_code = 1

    def __init__(self, place: str, fault: str, remedy: str = "") -> None:
        self.place = place
        self.fault = fault
        self.remedy = remedy
        text = f"{place}: {fault}."
        super().__init__(f"{text} {remedy}." if remedy else text)


class SpecError(SeawallError):
    """The author of `seawall.yaml` must act; `faults` lists every fault, each a full line."""

    exit_code = 2

    def __init__(self, faults: list[str]) -> None:
        self.faults = tuple(faults)
        Exception.__init__(self, "\n".join(faults))


class OperatorError(SeawallError):
    """The person running the mesh must act: a missing key, a broker that does not answer."""

    exit_code = 3


class RunFailed(SeawallError):  # noqa: N818 - a run fails; the word is the design's
    """A run ended without an answer."""

    exit_code = 4


class LimitReached(SeawallError):  # noqa: N818
    """A run, task or call stopped at a limit that the spec sets."""

    exit_code = 5


class Refused(SeawallError):  # noqa: N818
    """The keeper or a bridge refused a request; `code` is stable and machine-readable."""

    exit_code = 6

    def __init__(self, code: str, fault: str, remedy: str = "", place: str = "keeper") -> None:
        self.code = code
        super().__init__(place, fault, remedy)
