"""SymPy functions for the primitives whose standard SymPy form hinders exact decisions.

`1/(1 + exp(-z))`, `Max` and `Piecewise` grow under `sympy.diff`; these functions stay single atoms
with short derivatives.  `tanh`, `exp`, `log`, `sin`, `cos` and `sqrt` are SymPy's own.  At a kink
the value is the forward one (`step(0) = 0`); derivatives hold off the kinks.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy.core.function import ArgumentIndexError


class _Real(sympy.Function):  # type: ignore[misc]
    """A function with real values at real arguments and a formula to evaluate numerically."""

    @classmethod
    def eval(cls, *args: sympy.Expr) -> sympy.Expr | None:
        """The exact value at special arguments, else None."""
        return cls._special(*args)

    def fdiff(self, argindex: int = 1) -> sympy.Expr:
        """The derivative with respect to one argument, counted from 1."""
        partials = self._partials()
        if not 1 <= argindex <= len(partials):
            raise ArgumentIndexError(self, argindex)
        return partials[argindex - 1]

    @classmethod
    def _special(cls, *args: sympy.Expr) -> sympy.Expr | None:
        raise NotImplementedError

    def _partials(self) -> tuple[sympy.Expr, ...]:
        raise NotImplementedError

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        raise NotImplementedError

    def _eval_evalf(self, prec: int) -> sympy.Expr | None:
        args = [arg._evalf(prec) for arg in self.args]
        if not all(arg.is_Float or arg.is_Rational for arg in args):
            return None
        return self._formula(*args)._evalf(prec)

    def _eval_is_real(self) -> bool | None:
        return True if all(arg.is_real for arg in self.args) else None


class sigma(_Real):  # noqa: N801
    """The logistic function, with derivative sigma*(1 - sigma)."""

    nargs = (1,)

    @classmethod
    def _special(cls, u: sympy.Expr) -> sympy.Expr | None:
        return sympy.Rational(1, 2) if u is sympy.S.Zero else None

    def _partials(self) -> tuple[sympy.Expr, ...]:
        return (self * (1 - self),)

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        return 1 / (1 + sympy.exp(-args[0]))

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_real else None


class softplus(_Real):  # noqa: N801
    """log(1 + exp(u)), with derivative sigma(u)."""

    nargs = (1,)

    @classmethod
    def _special(cls, u: sympy.Expr) -> sympy.Expr | None:
        return sympy.log(2) if u is sympy.S.Zero else None

    def _partials(self) -> tuple[sympy.Expr, ...]:
        return (sigma(self.args[0]),)

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        small = sympy.exp(-abs(args[0]))
        return relu(args[0]) + 2 * sympy.atanh(small / (2 + small))  # log(1 + small), accurately

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_real else None


def _sign_of(u: sympy.Expr) -> int | None:
    """The sign of a number that SymPy holds as a rational or a float, else None."""
    if not (u.is_Rational or u.is_Float):
        return None
    return 1 if u > 0 else -1 if u < 0 else 0


class step(_Real):  # noqa: N801
    """1 where u > 0, else 0; its derivative is 0 off the kink."""

    nargs = (1,)

    @classmethod
    def _special(cls, u: sympy.Expr) -> sympy.Expr | None:
        sign_of_u = _sign_of(u)
        return None if sign_of_u is None else sympy.Integer(sign_of_u > 0)

    def _partials(self) -> tuple[sympy.Expr, ...]:
        return (sympy.S.Zero,)

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        return step(args[0])

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.args[0].is_real else None


class relu(_Real):  # noqa: N801
    """max(u, 0), with derivative step(u)."""

    nargs = (1,)

    @classmethod
    def _special(cls, u: sympy.Expr) -> sympy.Expr | None:
        sign_of_u = _sign_of(u)
        if sign_of_u is None:
            return None
        return u if sign_of_u > 0 else sympy.S.Zero

    def _partials(self) -> tuple[sympy.Expr, ...]:
        return (step(self.args[0]),)

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        return relu(args[0])

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.args[0].is_real else None


class sign(_Real):  # noqa: N801
    """-1, 0 or 1; its derivative is 0 off the kink."""

    nargs = (1,)

    @classmethod
    def _special(cls, u: sympy.Expr) -> sympy.Expr | None:
        sign_of_u = _sign_of(u)
        return None if sign_of_u is None else sympy.Integer(sign_of_u)

    def _partials(self) -> tuple[sympy.Expr, ...]:
        return (sympy.S.Zero,)

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        return sign(args[0])


class absolute(_Real):  # noqa: N801
    """The absolute value, with derivative sign(u)."""

    nargs = (1,)

    @classmethod
    def _special(cls, u: sympy.Expr) -> sympy.Expr | None:
        sign_of_u = _sign_of(u)
        return None if sign_of_u is None else sign_of_u * u

    def _partials(self) -> tuple[sympy.Expr, ...]:
        return (sign(self.args[0]),)

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        return absolute(args[0])

    def _eval_is_nonnegative(self) -> bool | None:
        return True if self.args[0].is_real else None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        bars = rf"\left|{{{printer._print(self.args[0])}}}\right|"
        return bars if exp is None else f"{bars}^{{{exp}}}"


class maximum(_Real):  # noqa: N801
    """The larger of two values, with derivatives step(a - b) and step(b - a)."""

    nargs = (2,)

    @classmethod
    def _special(cls, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
        sign_of_gap = _sign_of(a - b) if a.is_Number and b.is_Number else None
        if sign_of_gap is None:
            return None
        return a if sign_of_gap > 0 else b

    def _partials(self) -> tuple[sympy.Expr, ...]:
        a, b = self.args
        return step(a - b), step(b - a)

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        return maximum(*args)


class minimum(_Real):  # noqa: N801
    """The smaller of two values, with derivatives step(b - a) and step(a - b)."""

    nargs = (2,)

    @classmethod
    def _special(cls, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
        sign_of_gap = _sign_of(a - b) if a.is_Number and b.is_Number else None
        if sign_of_gap is None:
            return None
        return b if sign_of_gap > 0 else a

    def _partials(self) -> tuple[sympy.Expr, ...]:
        a, b = self.args
        return step(b - a), step(a - b)

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        return minimum(*args)


class stop(_Real):  # noqa: N801
    """stop_gradient: the value of its argument, the derivative 0.

    It stays unevaluated around anything that depends on a symbol, so that a derivative taken later
    still sees it; `Field` reads it as its argument.
    """

    nargs = (1,)

    @classmethod
    def _special(cls, u: sympy.Expr) -> sympy.Expr | None:
        return u if u.is_Number else None

    def _partials(self) -> tuple[sympy.Expr, ...]:
        return (sympy.S.Zero,)

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        return args[0]


class where(_Real):  # noqa: N801
    """where(u, a, b): a where u > 0, else b; the condition has derivative 0 off the kink."""

    nargs = (3,)

    @classmethod
    def _special(cls, u: sympy.Expr, a: sympy.Expr, b: sympy.Expr) -> sympy.Expr | None:
        sign_of_u = _sign_of(u)
        if sign_of_u is None:
            return None
        return a if sign_of_u > 0 else b

    def _partials(self) -> tuple[sympy.Expr, ...]:
        taken = step(self.args[0])
        return sympy.S.Zero, taken, 1 - taken

    def _formula(self, *args: sympy.Expr) -> sympy.Expr:
        return where(*args)
