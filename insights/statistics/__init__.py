"""Statistics of experiments: pure functions of sufficient statistics; no clock, no database.

ClickHouse adds up the moments of the units' values (`moments`); everything else is arithmetic on these sums.
`docs/statistics.md` has the formulas, their sources, and the promises that hold.
"""
