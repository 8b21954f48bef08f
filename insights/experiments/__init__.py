"""Results of experiments: the population by the clock, its numbers, and the verdict in a sentence."""
