"""Libraries that nobody here wrote, under the kit: a few lines for each, and `python -m foreign`, which runs them all."""
