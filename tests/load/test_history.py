"""The model that judges must itself be able to say no."""

import pytest

from tests.load.history import Entry, Model


def entry(number, status="waiting", proved=True, arrival=None):
    return Entry(number, arrival or number, "on_site", status, proved, lapsed=False)


GOOD = [[entry(1, "confirmed")], [entry(2)], [entry(3)], [entry(1, "cancelled"), entry(2, "confirmed")]]


@pytest.mark.parametrize(
    ("transactions", "wrong"),
    [
        (GOOD, []),
        ([[entry(1, "confirmed")], [entry(2, "held", proved=False)]], ["2: 2 of 1 places are taken"]),
        ([*GOOD[:3], [entry(1, "cancelled"), entry(3, "confirmed")]], ["4: 3 (confirmed) got a place before [2]"]),
        ([*GOOD[:3], [entry(1, "cancelled")]], ["4: 1 places stay free though [2, 3] wait"]),
        ([*GOOD, [entry(4, arrival=2)]], ["5: number 2 was given after 3"]),
    ],
    ids=["as it should be", "one too many", "passed over", "a place stays free", "a number twice"],
)
def test_the_model_says_what_was_wrong(transactions, wrong):
    model = Model({"on_site": 1, "online": 0})
    model.replay(transactions)
    assert model.wrong == wrong
