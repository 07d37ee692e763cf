"""`python -m benchmarks.speed`: every published speed and memory figure, ours and the peers', in one process.

| module | what |
|---|---|
| `sets`, `sides`, `makers`, `pairs` | which shapes, whose optimizers, how they are made, which against which |
| `alternating`, `statistics` | steps taken in turn; medians, ratios and their intervals |
| `flops`, `products`, `floors` | what a step must compute, how fast this machine multiplies, the share reached |
| `growth`, `memory`, `dispatches` | time by size and number, bytes of state and of temporaries, operations issued |
| `peers`, `published_numpy` | code that is no installed package, and the published Muon in NumPy |
| `run`, `result`, `report` | the whole run, its JSON (documented in `result`), its tables |
| `plots`, `page` | docs/assets/performance and docs/performance.md, from the JSON alone |
"""
