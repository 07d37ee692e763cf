"""Whether the defaults win: each matrix rule without a hyperparameter beside torch.optim.AdamW without one.

| module | what |
|---|---|
| `nets`, `tasks` | five tasks that are judged, two others that the defaults were tuned on |
| `sides` | optimizers: ours and AdamW as they come, and ours at a given pair of learning rate and ratio |
| `runs` | one run, and all that an experiment needs, in a journal |
| `verdicts`, `tables` | log ratios of losses and their intervals; rows for terminal and page |
| `tune` | the grids of learning rate and ratio |
| `published`, `page` | what other projects use; docs/defaults.md |
"""
