"""Compares what ClickHouse shows with what must be there. Pure: rows in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.chaos.cases import Case
from benchmarks.chaos.oracle import About, Answer, Place, Truth


class Current(NamedTuple):
    """A row of `current_scores`."""

    about: About
    answer: Answer
    score_id: str
    revision: int


class Revision(NamedTuple):
    """A row of the history, the view `scores`."""

    score_id: str
    number: int
    supersedes: int | None
    about: About
    answer: Answer


@dataclass
class Shown:
    """What ClickHouse shows; lists, since what is shown twice is a finding."""

    current: list[Current] = field(default_factory=list)
    history: list[Revision] = field(default_factory=list)
    open: list[About] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    waits: list[About] = field(default_factory=list)
    outcomes: list[tuple[str, str, str]] = field(default_factory=list)
    letters: list[tuple[str, Place]] = field(default_factory=list)


@dataclass
class Findings:
    """What differs, each as a line for people.

    `lost`: must be there and isn't. `wrong`: is there with another content, or the history doesn't end in it.
    `double`: two current scores of one question. `repeated`: one fact in two rows. `gaps`: a history with a
    revision missing. `invented`: is there for no reason. `unsettled`: open that should be answered, or the
    other way round. `disputed`: the two truths differ, so that one of them is wrong.
    """

    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    disputed: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not any(vars(self).values())

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {name: len(lines) for name, lines in vars(self).items()}

    def __str__(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.counts().items())


def compare(truth: Truth, shown: Shown) -> Findings:
    """What differs between what must be there and what is shown."""
    found = Findings()
    _compare_current(truth, shown, found)
    _compare_history(truth, shown, found)
    _compare_letters(truth, shown, found)
    _compare_rows("run", truth.runs, shown.runs, found)
    _compare_rows("wait", truth.waits, shown.waits, found)
    _compare_rows("outcome", truth.outcomes, shown.outcomes, found)
    found.unsettled += [f"{about} is open" for about in sorted(set(shown.open) - truth.open)]
    found.unsettled += [f"{about} is not open" for about in sorted(truth.open - set(shown.open))]
    return found


def dispute(truth: Truth, cases: Iterable[Case]) -> list[str]:
    """Where the truth from Kafka differs from what the sent cases were made to come to."""
    expected = {about: value for case in cases for about, value in case.expected.items()}
    answers = {about: answer.value for about, answer in truth.answers.items()}
    return [
        f"{about}: made for {expected.get(about)}, Kafka's records come to {answers.get(about)}"
        for about in sorted(expected.keys() | answers.keys())
        if about not in expected or expected[about] != answers.get(about)
    ]


def _compare_current(truth: Truth, shown: Shown, found: Findings) -> None:
    rows: dict[About, list[Current]] = defaultdict(list)
    for row in shown.current:
        rows[row.about].append(row)
    found.double += [f"{about}: {len(of)} current scores" for about, of in rows.items() if len(of) > 1]
    for about, answer in truth.answers.items():
        if answer.value is None:
            continue
        if about not in rows:
            found.lost.append(f"score {about}: {answer}")
        found.wrong += [
            f"score {about}: {row.answer}, not {answer}" for row in rows[about] if row.answer != answer
        ]
    scored = {about for about, answer in truth.answers.items() if answer.value is not None}
    found.invented += [f"score {about}" for about, of in rows.items() if of and about not in scored]


def _compare_history(truth: Truth, shown: Shown, found: Findings) -> None:
    histories: dict[str, list[Revision]] = defaultdict(list)
    for row in shown.history:
        histories[row.score_id].append(row)
    last: dict[About, Revision] = {}
    for score_id, rows in histories.items():
        numbers = Counter(row.number for row in rows)
        found.repeated += [f"score {score_id} revision {n}, {c} times" for n, c in numbers.items() if c > 1]
        if set(numbers) != set(range(1, len(numbers) + 1)):
            found.gaps.append(f"score {score_id}: revisions {sorted(numbers)}")
        found.gaps += [
            f"score {score_id}: revision {row.number} supersedes {row.supersedes}"
            for row in rows
            if (row.supersedes or 0) != row.number - 1
        ]
        latest = max(rows, key=lambda row: row.number)
        last[latest.about] = latest
    for about, answer in truth.answers.items():
        if about not in last:
            found.lost.append(f"history of {about}: {answer}")
        elif last[about].answer != answer:
            found.wrong.append(f"history of {about} ends in {last[about].answer}, not {answer}")
    # What a follow-up said and took back may be there.
    taken_back = {about for about, row in last.items() if row.answer.reason in ("reopened", "cancelled")}
    found.invented += [f"history of {about}" for about in last.keys() - truth.answers.keys() - taken_back]


def _compare_letters(truth: Truth, shown: Shown, found: Findings) -> None:
    there = Counter(shown.letters)
    for letter in truth.letters:
        count = sum(there.pop((letter.reason, place), 0) for place in letter.places)
        line = f"dead letter {letter.reason} of {sorted(letter.places)}"
        if not count:
            found.lost.append(line)
        elif count > 1:
            found.repeated.append(f"{line}, {count} times")
    found.invented += [f"dead letter {reason} of {place}" for reason, place in there]


def _compare_rows(what: str, wanted: Iterable[object], rows: Iterable[object], found: Findings) -> None:
    there, must = Counter(rows), set(wanted)
    found.lost += [f"{what} {row}" for row in must - there.keys()]
    found.invented += [f"{what} {row}" for row in there.keys() - must]
    found.repeated += [f"{what} {row}, {count} times" for row, count in there.items() if count > 1]


__all__ = ["Current", "Findings", "Revision", "Shown", "compare", "dispute"]
