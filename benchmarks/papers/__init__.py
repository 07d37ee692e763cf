"""`python -m benchmarks.papers`: the papers' experiments, rerun with our optimizers and with peers.

| module | what |
|---|---|
| `journal` | finished runs in a JSON file, resumed where they stopped |
| `methods`, `training` | whose optimizers; one run of one task |
| `trace`, `trace_methods` | DeVA's Figure 2, all seeds at once |
| `language`, `gpt` | a small GPT over bytes |
| `adago`, `handover` | AdaGO's learning rates and γ; a run begun in torch and finished in JAX |
| `plots`, `report`, `page` | docs/assets/evidence and docs/evidence.md, from the JSON alone |
| `beside` | a short form's verdicts beside the published ones |
"""
