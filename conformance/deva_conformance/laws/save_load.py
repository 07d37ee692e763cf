"""Saving and loading is as if nothing had happened.

A fresh run that begins with the parameters of the middle and loads the state saved there ends where the uninterrupted
run ends, bit by bit. Loading again later takes the state back, whatever it has become; a file cut short is refused and
changes nothing. Domain: every rule, dtype and hyperparameter; runs that can save. (Parameters are not in a checkpoint.)
"""

from deva_conformance.cases import Case
from deva_conformance.driver import Subject
from deva_conformance.laws._law import SHARED, NotSupported, module_law
from deva_conformance.laws._steps import begin, load_bytes, middle, moment, need, reference, same, same_moment


def refuses(run: object, data: bytes) -> bool:
    """Whether a run refuses to load a file of these bytes."""
    try:
        load_bytes(run, data)
    except Exception:  # a backend's own error is a refusal
        return True
    return False


def check(subject: Subject, case: Case) -> float:
    """Load in a fresh run, go on to the end; load once more."""
    plain, k = reference(subject, case), middle(case)
    if plain.checkpoint is None:
        raise NotSupported("the run has no save method")
    halfway = plain.moments[k]
    run = begin(subject, case.rule, halfway.params)
    load_bytes(run, plain.checkpoint)
    same("the state saved and the state loaded:", halfway.state, moment(run).state)
    for j in range(k, case.steps):
        run.step(case.gradients(j))
    same_moment("an uninterrupted run and one that was saved and loaded", plain.end, moment(run))
    before = moment(run)
    need(refuses(run, plain.checkpoint[:-1]), "a checkpoint whose last byte is missing is loaded")
    same("a refused checkpoint changes the state:", before.state, moment(run).state)
    load_bytes(run, plain.checkpoint)
    same("the state saved and the state after loading it a second time:", halfway.state, moment(run).state)
    run.step(case.gradients(k))
    same("a step after loading a second time:", plain.moments[k + 1].state, moment(run).state)
    return 0.0


LAW = module_law("save-load", check, __doc__, domain=SHARED, shared=True)
