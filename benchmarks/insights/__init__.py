"""What questions cost at many runs: the data, the questions, and their goals."""
