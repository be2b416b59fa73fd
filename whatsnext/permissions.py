"""Who may do what: the one table every route is checked against (safety.md P1)."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a signed-in person is, lowest first; each may do what the ones before may."""

    ATTENDEE = "attendee"
    HELPER = "helper"
    ORGANISER = "organiser"
    OPERATOR = "operator"


ORDER = list(Role)


class Right(StrEnum):
    """What is asked for."""

    OWN_REGISTRATIONS = "own registrations"
    PLAN = "plan talks and see registrations"
    OPERATE = "run the installation"


NEEDED = {Right.OWN_REGISTRATIONS: Role.ATTENDEE, Right.PLAN: Role.ORGANISER, Right.OPERATE: Role.OPERATOR}


def may(role: Role | None, right: Right) -> bool:
    """Whether someone with `role` (None: not signed in) has `right`."""
    return role is not None and ORDER.index(role) >= ORDER.index(NEEDED[right])
