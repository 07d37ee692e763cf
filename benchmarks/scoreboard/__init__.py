"""The scoreboard: the kit's laws on shipped optimizers, under the rule that each of them claims to be."""
