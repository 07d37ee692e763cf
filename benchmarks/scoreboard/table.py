"""Who is on the board: how to install it, how to start it, and as what."""

from dataclasses import dataclass
from importlib.metadata import version

from benchmarks.scoreboard import claims
from deva_core import Rule

ADAPTERS = "benchmarks.scoreboard.peers"


@dataclass(frozen=True)
class Entry:
    """A peer under a claim.

    Args:
        name: a word for commands.
        title: what it is called on the page.
        distribution: whose version counts.
        start: `module:callable` under `ADAPTERS`.
        claim: the rule that it is held against.
        words: the claim, for the page.
        cast: which products are rounded to fewer bits, as shipped; `uncast` starts the same without.
        requirements: for pip, in an environment of its own; none: this one has it.
        oracle: whether the kit's oracle knows the rule.
        not_claimed: laws that do not follow from the claim.
        costly: whether it compiles for each shape or is slow, so that one case a law must do.
    """

    name: str
    title: str
    distribution: str
    start: str
    claim: type[Rule]
    words: str
    requirements: tuple[str, ...] = ()
    cast: str = ""
    uncast: str = ""
    oracle: bool = True
    not_claimed: tuple[str, ...] = ()
    costly: bool = False

    @property
    def key(self) -> str:
        """The entry, for commands."""
        return f"{self.name}/{self.claim.__name__}"

    @property
    def environment(self) -> str:
        """The folder of its environment; empty: this one."""
        return self.distribution if self.requirements else ""

    def spec(self, uncast: bool = False) -> str:
        """What the kit loads."""
        return f"{ADAPTERS}.{self.uncast if uncast else self.start}"

    @property
    def version(self) -> str:
        """As installed here."""
        return version(self.distribution)


BFLOAT16 = "Newton–Schulz in bfloat16"
KOZISTR = "pytorch_optimizer"

ENTRIES = (
    Entry(
        "torch",
        "torch.optim.Muon",
        "torch",
        "torch_muon:start",
        claims.TorchMuon,
        'Muon.dialect("torch")',
        cast=BFLOAT16,
        uncast="torch_muon:uncast",
    ),
    Entry(
        "optax",
        "optax.contrib.muon",
        "optax",
        "optax_muon:start",
        claims.OptaxMuon,
        'Muon.dialect("optax")',
        costly=True,
    ),
    Entry(
        "pytorch_optimizer-muon",
        "pytorch_optimizer.Muon",
        KOZISTR,
        "pytorch_optimizer_:muon",
        claims.TorchMuon,
        'Muon.dialect("torch")',
        cast=BFLOAT16,
        uncast="pytorch_optimizer_:muon_uncast",
    ),
    Entry(
        "pytorch_optimizer-adago",
        "pytorch_optimizer.AdaGO",
        KOZISTR,
        "pytorch_optimizer_:adago",
        claims.PaperAdaGO,
        "AdaGO of the paper (divides by v), all else as this library has it",
        cast=BFLOAT16,
        uncast="pytorch_optimizer_:adago_uncast",
    ),
    Entry(
        "pytorch_optimizer-adago",
        "pytorch_optimizer.AdaGO",
        KOZISTR,
        "pytorch_optimizer_:adago",
        claims.KozistrAdaGO,
        'AdaGO.dialect("pytorch-optimizer") (divides by v²)',
        not_claimed=("step-length",),
        cast=BFLOAT16,
        uncast="pytorch_optimizer_:adago_uncast",
    ),
    Entry(
        "pytorch_optimizer-soap",
        "pytorch_optimizer.SOAP",
        KOZISTR,
        "pytorch_optimizer_:soap",
        claims.Soap,
        "no oracle here: laws that need none",
        oracle=False,
    ),
    Entry(
        "keras",
        "keras.optimizers.Muon",
        "keras",
        "keras_muon:start",
        claims.KerasMuon,
        'Muon.dialect("moonlight")',
        requirements=("keras==3.15.1", "jax==0.10.2"),
        costly=True,
    ),
    Entry(
        "timm",
        "timm.optim.Muon",
        "timm",
        "timm_muon:start",
        claims.TimmMuon,
        'Muon with ns_normalization="clamp"',
        requirements=("timm==1.0.31", "torch==2.13.0"),
        cast=BFLOAT16,
        uncast="timm_muon:uncast",
    ),
    Entry(
        "mlx",
        "mlx.optimizers.Muon",
        "mlx",
        "mlx_muon:start",
        claims.MlxMuon,
        'Muon.dialect("keller") without decay (its decay is documented as an L2 penalty)',
        requirements=("mlx[cpu]==0.32.4",),
    ),
    Entry(
        "tinygrad",
        "tinygrad.nn.optim.Muon",
        "tinygrad",
        "tinygrad_muon:start",
        claims.TinygradMuon,
        'Muon.dialect("keller") with momentum_form="sum", scale="none"',
        requirements=("tinygrad==0.14.0",),
        costly=True,
    ),
    Entry(
        "heavyball",
        "heavyball.Muon",
        "heavyball",
        "heavyball_muon:start",
        claims.HeavyballMuon,
        'Muon with momentum_form="sum", ns_normalization="clamp" and the coefficients that it has; float64 only',
        requirements=("heavyball==3.2.1", "torch==2.13.0"),
    ),
)
