"""Assignment of variants: pure functions of an experiment's definition, a unit and the facts of a run.

No clock, no network, no store: the same unit gets the same variant in every process, in SQL and in other
languages. `vectors.json` holds golden values for ports of the hash, and docs/decisions/0026 the recipe.
"""
