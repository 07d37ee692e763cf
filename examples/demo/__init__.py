"""The parts of `examples/digits.py`: the data, one network in three frameworks, today's optimizers, the report."""
