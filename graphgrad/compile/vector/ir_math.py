"""Elementary functions as branch-free LLVM instructions, for one number or for a vector of them.

Every function is a few lines over `Num`, an LLVM value with operators. The series (`series.py`)
have enough terms for the type, so there are no tables.
NaN goes in as NaN and comes out as NaN: bounds are set by comparisons that are false for NaN.
Errors, in units in the last place, are asserted in tests/compile/test_vector_math.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir

from graphgrad.compile.vector.ir_num import Num, apart


def polynomial(x: Num, coefficients: Sequence[float]) -> Num:
    """Return Σ coefficients[k]·x^k: even and odd powers side by side, each by Horner's rule.

    One product more than Horner's rule alone, and half as long to wait for.
    """
    square = x * x
    even, odd = (_horner(square, coefficients[start::2]) for start in (0, 1))
    return odd.times_plus(x, even)


def _horner(x: Num, coefficients: Sequence[float]) -> Num:
    result = x.const(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = result.times_plus(x, coefficient)
    return result


def _in_pairs(x: Num, powers: Sequence[Num], coefficients: Sequence[float]) -> Num:
    """Return Σ coefficients[k]·x^k by Estrin's scheme; `powers` are x², x⁴, and so on.

    What comes out has waited for as many additions as there are powers, and one.
    """
    pairs = [coefficients[k : k + 2] for k in range(0, len(coefficients), 2)]
    terms = [x.times_plus(pair[1], pair[0]) if pair[1:] else x.const(pair[0]) for pair in pairs]
    for power in powers:
        terms = [
            pair[1].times_plus(power, pair[0]) if pair[1:] else pair[0]
            for pair in (terms[k : k + 2] for k in range(0, len(terms), 2))
        ]
    (result,) = terms
    return result


_WORD = ir.IntType(32)
_AS_SET = 4  # rounding as the processor is set
_MANTISSA = 0b1011  # from 3/4 to 3/2; NaN for what is negative
_WIDE = {"<16 x float>": "ps", "<8 x double>": "pd"}


def _wide(x: Num) -> bool:
    """Whether there are instructions for exponents of vectors like this one (AVX-512)."""
    return str(x.type) in _WIDE and _has_wide()


@cache
def _has_wide() -> bool:
    return bool(llvm.get_host_cpu_features().get("avx512f"))


def _instruction(name: str, x: Num, *given: Any) -> Num:
    """Return what one such instruction makes of x and what else is given, in every lane."""
    builder = x.builder
    mask = ir.Constant(ir.IntType(x.type.count), -1)
    values = [x.value, *given, x.value, mask, ir.Constant(_WORD, _AS_SET)]
    label = f"llvm.x86.avx512.mask.{name}.{_WIDE[str(x.type)]}.512"
    function = builder.module.globals.get(label) or ir.Function(
        builder.module, ir.FunctionType(x.type, [each.type for each in values]), label
    )
    return Num(builder, builder.call(function, values))


def _whole_part(x: Num, multiple: float = 1.0) -> Num:
    """Return n + `rounder`, with n the whole number next to multiple·x / ln 2."""
    return x.times_plus(multiple / math.log(2), x.kind.rounder)


def _less_one(r: Num) -> Num:
    """Return e^r - 1 for |r| ≤ ln 2 / 2."""
    series = r.kind.exp_series
    square = r * r
    first, others = (
        _in_pairs(r, [], series[:2]),
        _in_pairs(r, [square, square * square], series[2:]),
    )
    return square.times_plus(others.times_plus(square, first), r)


def _reduced(x: Num) -> tuple[Num, Num]:
    """Return e^r - 1 and n + `rounder`, with x = n·ln 2 + r, |r| ≤ ln 2 / 2, n whole."""
    kind = x.kind
    shifted = _whole_part(x)
    n = shifted - kind.rounder
    r = (-n).times_plus(kind.ln2_low, (-n).times_plus(kind.ln2_high, x))
    return _less_one(r), shifted


def _times_power(x: Num, shifted: Num) -> Num:
    """Return x·2^n for n + `rounder`, |x| about 1; results below normal numbers are right too."""
    kind, builder = x.kind, x.builder
    if _wide(x):
        return _instruction("scalef", x, (shifted - kind.rounder).value)
    n = builder.sub(shifted.bits(), x.const(kind.rounder).bits())
    half = builder.ashr(n, x.integer(1))
    return x * _power_of_two(x, half) * _power_of_two(x, builder.sub(n, half))


def _power_of_two(x: Num, n: Any) -> Num:
    """Return 2^n in the type of x, for n that give a normal number."""
    kind = x.kind
    biased = x.builder.add(n, x.integer(kind.bias))
    return x.from_bits(x.builder.shl(biased, x.integer(kind.mantissa)))


def exp(x: Num) -> Num:
    """Return e^x; results below the normal numbers are rounded correctly too."""
    kind = x.kind
    bounded = x.const(kind.exp_high).where(x > kind.exp_high, x)
    bounded = x.const(kind.exp_low).where(x < kind.exp_low, bounded)
    rest, shifted = _reduced(bounded)
    return _times_power(rest + 1, shifted)


def tanh(x: Num) -> Num:
    """Return tanh x = (e^2u - 1) / (e^2u + 1) with u = |x|, from e^2u - 1 directly.

    The remainder of 2u is off by n times what ln 2 is rounded by: tanh is flat where n is large.
    """
    kind = x.kind
    size = x.call("fabs")
    bounded = x.const(kind.tanh_high).where(size > kind.tanh_high, size)
    shifted = _whole_part(bounded, 2.0)
    rest = _less_one((shifted - kind.rounder).times_plus(-math.log(2), bounded * 2))
    scale = _times_power(x.const(1.0), shifted)
    less_one, plus_one = (scale.times_plus(rest, term) for term in (scale - 1, scale + 1))
    return (less_one / plus_one).call("copysign", x)


def sigmoid(x: Num) -> Num:
    """Return 1 / (1 + e^-x), with full relative accuracy for negative x as well."""
    kind = x.kind
    below = -x.call("fabs")
    rest, shifted = _reduced(x.const(kind.exp_low).where(below < kind.exp_low, below))
    scale = _times_power(x.const(1.0), shifted)
    small, plus_one = (scale.times_plus(rest, term) for term in (scale, scale + 1))
    return x.const(1).where(x >= 0, small) / plus_one


def log(x: Num) -> Num:
    """Return the natural logarithm: -inf at 0, NaN below."""
    if _wide(x):
        return _log_of_wide(x)
    kind, builder = x.kind, x.builder
    subnormal = x < kind.tiny
    shift = kind.mantissa + 2
    scaled = (x * math.ldexp(1.0, shift)).where(subnormal, x)
    root = x.const(math.sqrt(0.5)).bits()
    exponent = builder.ashr(builder.sub(scaled.bits(), root), x.integer(kind.mantissa))
    m = x.from_bits(builder.sub(scaled.bits(), builder.shl(exponent, x.integer(kind.mantissa))))
    e = Num(builder, builder.sitofp(exponent, x.type))
    e = (e - shift).where(subnormal, e)
    result = _log_of_product(e, m)
    result = x.where(x.equals(math.inf), result)
    result = x.const(-math.inf).where(x.equals(0.0), result)
    return result.where(x >= 0, math.nan)


def _log_of_wide(x: Num) -> Num:
    """Return log x by instructions for exponents and mantissas, which know all the edges.

    The exponent of 0 is -inf, that of inf is inf, and there is no mantissa of negative numbers.
    """
    m = _instruction("getmant", x, ir.Constant(_WORD, _MANTISSA))
    floor = _instruction("getexp", x)
    return _log_of_product((floor + 1).where(m < 1, floor), m)


def _log_of_product(e: Num, m: Num) -> Num:
    """Return log(m·2^e) for whole e and m near 1."""
    kind = e.kind
    f = m - 1
    s = f / (f + 2)
    square = s * s
    rest = s * (f - square * polynomial(square, kind.log_series))
    return e.times_plus(kind.ln2_high, f - (rest - e * kind.ln2_low))


def log1p(x: Num) -> Num:
    """Return log(1 + x), accurate for small x: -inf at -1, NaN below."""
    u = x + 1
    lost = (x - (u - 1)) / u
    result = log(u) + lost
    result = u.where(u.equals(math.inf), result)
    result = x.const(-math.inf).where(u.equals(0.0), result)
    return x.where(u.equals(1.0), result)


def softplus(x: Num) -> Num:
    """Return log(1 + e^x) without overflow and with full relative accuracy for negative x."""
    return x.where(x > 0, 0.0) + log1p(exp(-x.call("fabs")))


def relu(u: Num) -> Num:
    """Return max(0, u); NaN stays NaN."""
    return u.const(0).where(u < 0, u)


def absolute(u: Num) -> Num:
    """Return |u|."""
    return u.call("fabs")


def sqrt(u: Num) -> Num:
    """Return the square root."""
    return u.call("sqrt")


def sin(u: Num) -> Num:
    """Return the sine, lane by lane by the C library."""
    return apart(_sin, u)


def _sin(u: Num) -> Num:
    return u.call("sin")


def cos(u: Num) -> Num:
    """Return the cosine, lane by lane by the C library."""
    return apart(_cos, u)


def _cos(u: Num) -> Num:
    return u.call("cos")


def power(base: Num, exponent: Num) -> Num:
    """Return base to the power of exponent, lane by lane by the C library."""
    return apart(_power, base, exponent)


def _power(base: Num, exponent: Num) -> Num:
    return base.call("pow", exponent)


def maximum(a: Num, b: Num) -> Num:
    """Return the larger number; NaN if either is NaN."""
    return a.where(a.builder.fcmp_unordered("uno", a.value, a.value), a.where(a > b, b))


def minimum(a: Num, b: Num) -> Num:
    """Return the smaller number; NaN if either is NaN."""
    return a.where(a.builder.fcmp_unordered("uno", a.value, a.value), a.where(a < b, b))


def if_equal(left: Num, right: Num, a: Num, b: Num) -> Num:
    """Return a where left = right, else b."""
    return a.where(left.equals(right), b)


def if_greater(left: Num, right: Num, a: Num, b: Num) -> Num:
    """Return a where left > right, else b."""
    return a.where(left > right, b)


def if_greater_equal(left: Num, right: Num, a: Num, b: Num) -> Num:
    """Return a where left ≥ right, else b."""
    return a.where(left >= right, b)


def if_less(left: Num, right: Num, a: Num, b: Num) -> Num:
    """Return a where left < right, else b."""
    return a.where(left < right, b)


def if_less_equal(left: Num, right: Num, a: Num, b: Num) -> Num:
    """Return a where left ≤ right, else b."""
    return a.where(left <= right, b)
