"""What the doctor makes of receivers."""

from __future__ import annotations

import pytest

from upshot.ops.doctor.finding import Finding
from upshot.ops.doctor.receivers import ReceiverFare, receivers

FINE = ReceiverFare("ops", 0, 0, "", False)


def test_receivers_that_take_notices_are_fine() -> None:
    assert receivers([], {}, []) == Finding("receivers", "fine", "none")
    assert receivers({"ops": 1, "am": 2}, {"ops": ["low"]}, [FINE]).found == "am, ops"


@pytest.mark.parametrize(
    ("named", "fare", "state", "found", "to_do"),
    [
        (
            {"osp": ["low", "worse"]},
            FINE,
            "wrong",
            "aren't set up here: osp (of low, worse)",
            "UPSHOT_RECEIVERS",
        ),
        (
            {},
            ReceiverFare("ops", 1_200, 3, "answered 503", True),
            "wrong",
            "ops answered 503: 1,200 notices wait, 3 were given up",
            "upshot alerts ping ops",
        ),
        (
            {},
            ReceiverFare("ops", 0, 2, "answered 503", False),
            "notice",
            "2 notices were given up",
            "--failed",
        ),
    ],
)
def test_a_receiver_that_needs_somebody_is_named(
    named: dict[str, list[str]], fare: ReceiverFare, state: str, found: str, to_do: str
) -> None:
    finding = receivers(["ops"], named, [fare])
    assert finding.state == state
    assert found in finding.found
    assert to_do in finding.to_do
