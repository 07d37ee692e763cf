"""Rules whose arithmetic is wrong in one way."""

from deva_conformance.faults.operations import bits
from deva_core import JORDAN, AdaGO, AdamW, DeVA, Muon
from deva_core.coefficients import schedule
from deva_core.elementwise import ema, gap, or_one
from deva_core.linalg import frobenius, norm, polar, transpose


class Momentum(Muon):
    """A Muon whose parts can be replaced."""

    def update(self, G, S, W, t, b):
        """The step by parts."""
        M = self.average(G, S, t, b)
        O = self.direction(G, M, b)
        return self.change(O, W, b), self.State(momentum=M)

    def average(self, G, S, t, b):
        """M."""
        return ema(S.momentum, G, self.momentum, b)

    def ahead(self, G, M, b):
        """N."""
        return self.momentum * M + (1 - self.momentum) * G if self.nesterov else M

    def direction(self, G, M, b):
        """O."""
        return polar(self.ahead(G, M, b), self.orthogonalization, b)

    def change(self, O, W, b):
        """The step."""
        return -self.lr * (self.shape_factor(W) * O + self.weight_decay * W)


class CoupledDecay(Momentum):
    """Decay goes into the gradient."""

    def update(self, G, S, W, t, b):
        """Decay in the gradient."""
        return super().update(G + self.weight_decay * W, S, W, t, b)

    def change(self, O, W, b):
        """No decay here."""
        return -self.lr * self.shape_factor(W) * O


class DecayWithoutLr(Momentum):
    """Decay takes a fixed share."""

    def change(self, O, W, b):
        """Decay by λ alone."""
        return -self.lr * self.shape_factor(W) * O - self.weight_decay * W


class TrustRatio(Momentum):
    """LARS: a step as long as the parameter."""

    def change(self, O, W, b):
        """Scaled by ‖W‖."""
        return super().change(O * (0.5 + frobenius(W, b)), W, b)


class TransposedScale(Momentum):
    """The shape factor of the transpose."""

    def change(self, O, W, b):
        """out and in swapped."""
        return -self.lr * (self.shape_factor(transpose(W, b)) * O + self.weight_decay * W)


class DoubleDamping(Momentum):
    """The average takes in the gradient at (1 - β)² the first time, as if it were another step."""

    def average(self, G, S, t, b):
        """First step damped twice."""
        return ema(S.momentum, G * (1 - self.momentum) if t == 1 else G, self.momentum, b)


class LateGradient(Momentum):
    """Orthogonalised before the gradient arrives: one step behind."""

    def direction(self, G, M, b):
        """Of what was there before."""
        return polar((M - (1 - self.momentum) * G) / max(self.momentum, 1e-3), self.orthogonalization, b)


class NarrowPolar(Momentum):
    """A fused Newton–Schulz whose every result is rounded to the 8 bits of bfloat16."""

    def direction(self, G, M, b):
        """From the smaller side."""
        X = self.ahead(G, M, b)
        tall = X.shape[-2] > X.shape[-1]
        X = transpose(X, b) if tall else X
        X = bits(X / or_one(frobenius(X, b), b), 8)
        for a, b_, c in schedule(JORDAN if self.ns_coefficients == "exact" else self.ns_coefficients, self.ns_steps):
            A = bits(X @ transpose(X, b), 8)
            X = bits(a * X + (b_ * A + c * (A @ A)) @ X, 8)
        return transpose(X, b) if tall else X


class Unrotated(DeVA):
    """Momentum stays as it is when the basis turns."""

    def refreshed(self, S, t, b):
        """M forgotten."""
        return super().refreshed(S, t, b)._replace(momentum=S.momentum)


class Unpermuted(DeVA):
    """V keeps its order when the columns of the basis are exchanged."""

    def refreshed(self, S, t, b):
        """V forgotten."""
        old = {n: getattr(S, n) for n in ("second_moment", "row_second_moment", "column_second_moment")}
        return super().refreshed(S, t, b)._replace(**old)


class FirstBasisOnly(DeVA):
    """The basis of the first gradient for ever."""

    def refreshed(self, S, t, b):
        """Once."""
        return super().refreshed(S, t, b) if t == 1 else S


class RefreshedFromZero(DeVA):
    """Refreshes counted from zero: due before the first gradient of each period."""

    def refreshed(self, S, t, b):
        """Off by one."""
        return super().refreshed(S, t if t == 1 else t + 1, b)


class MissingRoot(DeVA):
    """Γ without its root."""

    def adaptation(self, G, M, S, t, b):
        """Squared."""
        Γ, S = super().adaptation(G, M, S, t, b)
        return Γ * Γ, S


class RowsOnly(DeVA):
    """Γ from the rows alone."""

    def adaptation(self, G, M, S, t, b):
        """Columns averaged away."""
        Γ, S = super().adaptation(G, M, S, t, b)
        return b.xp.mean(Γ, axis=-1, keepdims=True) + 0 * Γ, S


class LateCorrection(DeVA):
    """Bias correction one step behind."""

    def correction(self, t, like, b):
        """t + 1."""
        return super().correction(t + 1, like, b)


class UnclippedSum(AdaGO):
    """The accumulator takes in norms unclipped."""

    def update(self, G, S, W, t, b):
        """Only the step is clipped."""
        delta, new = super().update(G, S, W, t, b)
        return delta, new._replace(accumulator=S.accumulator + b.xp.reshape(frobenius(G, b) ** 2, S.accumulator.shape))


class AveragedNorms(AdaGO):
    """An average of squared norms instead of their sum: RMSProp, not AdaGrad."""

    def update(self, G, S, W, t, b):
        """Half of the past."""
        return super().update(G, S._replace(accumulator=S.accumulator / 2), W, t, b)


class StoppedSum(AdaGO):
    """A sum that stops growing."""

    def update(self, G, S, W, t, b):
        """After 48 updates."""
        delta, new = super().update(G, S, W, t, b)
        return delta, new._replace(accumulator=S.accumulator) if t > 48 else new


class EpsInside(AdamW):
    """ε under the root."""

    def update(self, G, S, W, t, b):
        """√(v + ε)."""
        m, v = ema(S.exp_avg, G, self.beta1, b), ema(S.exp_avg_sq, G * G, self.beta2, b)
        root = b.xp.sqrt(v / gap(self.beta2, t, W, b) + self.eps)
        step = m / gap(self.beta1, t, W, b) / root
        return -self.lr * (step + self.weight_decay * W), self.State(exp_avg=m, exp_avg_sq=v)


class Amsgrad(AdamW):
    """v never falls."""

    def update(self, G, S, W, t, b):
        """The largest v so far."""
        delta, new = super().update(G, S, W, t, b)
        return delta, new._replace(exp_avg_sq=b.xp.maximum(new.exp_avg_sq, S.exp_avg_sq))


class Uncorrected(AdamW):
    """No bias correction."""

    def update(self, G, S, W, t, b):
        """As if after many steps."""
        return super().update(G, S, W, t + 10_000_000, b)


class NormOfBatch(Momentum):
    """One norm for a whole stack."""

    def direction(self, G, M, b):
        """Normalised by the stack's norm, as if spread evenly."""
        N = self.ahead(G, M, b)
        O = polar(N, self.orthogonalization, b)
        return O * norm(N, b) / b.xp.mean(norm(N, b)) if N.ndim > 2 else O
