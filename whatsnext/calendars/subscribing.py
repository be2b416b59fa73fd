"""Addresses that let a calendar program subscribe to a feed with one press.

None is documented by its maker for this use; where one stops working, the steps beside it and the plain address
remain.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode


def webcal(address: str) -> str:
    """The address as programs know it that are registered for calendars; opens nothing where there is none."""
    return "webcal:" + address.partition(":")[2]


def google(address: str) -> str:
    """Google Calendar in a browser."""
    return _link("https://calendar.google.com/calendar/r", cid=webcal(address))


def outlook_com(address: str, name: str) -> str:
    """Outlook.com, private accounts."""
    return _link("https://outlook.live.com/calendar/0/addfromweb", url=address, name=name)


def microsoft365(address: str, name: str) -> str:
    """Microsoft 365 and the new Outlook, accounts of an organisation."""
    return _link("https://outlook.office.com/calendar/0/addfromweb", url=address, name=name)


def _link(base: str, **parameters: str) -> str:
    return f"{base}?{urlencode(parameters, quote_via=quote, safe='')}"
