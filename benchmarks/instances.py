"""Seeded instances of the four planning families; the same bytes on every CPU.

Randomness is PCG64(SeedSequence([family, seed, sizes...])), by `integers` and `random` only: no
normal, no exp, no log. `digest` names an instance; the tests pin some. `ticked` is what a venue's
market does between two plans. `quantised` gives what our words and native units can hold: that
instance, and no other, goes to us and to every peer. Source: solvers.md, section 6.
"""

import hashlib
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]

MARKET_FEES = np.array([1e-4, 5e-4, 3e-3, 1e-2])
TAKER_FEES = np.array([0, 5, 10, 20, 45])
LADDER_FEES = np.array([0.0, 1e-4, 2e-4, 4e-4])
PRICE_BITS = 40
AMOUNT_BITS = 20
NATIVE_MOST = 2**52
DECIMALS_MOST = 9
PPM = 1_000_000
SLICES = 78
LADDER_LEVELS = 20
BOOK_LEVELS = 50


@dataclass(frozen=True)
class Cfmm:
    """n pools over m tokens: sides ia, ib; reserves Ra, Rb; gam = 1 - fee; reference prices c."""

    n: int
    m: int
    ia: Whole
    ib: Whole
    Ra: Reals
    Rb: Reals
    gam: Reals
    c: Reals


@dataclass(frozen=True)
class Sor:
    """n books of m instruments, L levels each: arrays (n, m, L) of int64.

    px: all-in ask price in 1e-4 ticks. q: lots. Q: lots to buy, one an instrument. v: reservation
    values and B: total spend of a basket; B = 0 without a budget.
    """

    n: int
    L: int
    m: int
    px: Whole
    q: Whole
    Q: Whole
    v: Whole
    B: int


@dataclass(frozen=True)
class Vwap:
    """One order over T slices and n venues: cost a x + eta x^2 / 2 within cap (n, T) and C (n,).

    w: target of the cumulative total (T,), ends at Q. kappa: weight of leaving it.
    """

    n: int
    T: int
    a: Reals
    eta: Reals
    cap: Reals
    C: Reals
    w: Reals
    Q: float
    kappa: float


@dataclass(frozen=True)
class Arb:
    """n venues with m instruments, L levels a side: ask, aq, bid, bq are (n, m, L).

    C: capital (n,). inv: inventory (n, m). h: bound of the net exposure (m,). ref: its mark (m,).
    """

    n: int
    m: int
    L: int
    ask: Reals
    aq: Reals
    bid: Reals
    bq: Reals
    C: Reals
    inv: Reals
    h: Reals
    ref: Reals


Instance = Cfmm | Sor | Vwap | Arb


def digest(instance: Instance) -> str:
    """SHA-256 over names, types, shapes and bytes of every field."""
    told = hashlib.sha256()
    for each in fields(instance):
        value = getattr(instance, each.name)
        if isinstance(value, np.ndarray):
            head = each.name + str(value.dtype) + str(value.shape)
            told.update(head.encode() + np.ascontiguousarray(value).tobytes())
        else:
            told.update(f"{each.name}={value!r}".encode())
    return told.hexdigest()


def cfmm(n: int, seed: int = 0, kind: str = "random", m: int | None = None) -> Cfmm:
    """Constant-product pools; the first min(n, m) form a ring, so every token is used.

    random: every pool mispriced (the benchmark of CFMMRouter.jl). market: reserves agree with the
    references up to about one percent, so most pools lie in their no-trade band.
    """
    m = m or round(2 * n**0.5)
    draw = _draw(1, seed, n, m, int(kind == "market"))
    ia = draw.integers(0, m, n)
    ib = (ia + 1 + draw.integers(0, m - 1, n)) % m
    ring = min(n, m)
    ia[:ring] = np.arange(ring)
    ib[:ring] = (np.arange(ring) + 1) % m
    c = 0.01 + 0.99 * draw.random(m)
    if kind == "market":
        held = 2.0 ** draw.integers(0, 12, n) * 100.0
        one, other = held / c[ia], held / c[ib] * (1 + 0.01 * _noise(draw, (n,)))
        gam = 1 - MARKET_FEES[draw.integers(0, 4, n)]
    else:
        one, other = 1000 * draw.random(n) + 1.0, 1000 * draw.random(n) + 1.0
        gam = np.where(draw.random(n) < 0.5, 0.997, 1.0)
    return Cfmm(n, m, ia, ib, one, other, gam, c)


def sor(n: int, L: int = BOOK_LEVELS, m: int = 1, seed: int = 0, *, budget: bool = False) -> Sor:  # noqa: N803 -- as in the formulas
    """Integer books; Q is 30 % of the depth. budget: 60 % of what the plan without would spend."""
    draw = _draw(2, seed, n, L, m)
    mid = draw.integers(5000, 20000, m)
    offset, step = draw.integers(1, 12, (n, m)), draw.integers(1, 4, (n, m, L))
    step[:, :, 0] = 0
    tick = mid[None, :, None] + offset[:, :, None] + np.cumsum(step, 2)
    fee = TAKER_FEES[draw.integers(0, 5, n)]
    px = tick.astype(np.int64) * 10000
    px += -((-px * fee[:, None, None]) // 100000)
    q = (draw.integers(1, 200, (n, m, L)) * (1 + np.arange(L) // 5)).astype(np.int64)
    wanted = (q.sum((0, 2)) * 300 // 1000).astype(np.int64)
    v = (mid * 10000 + 10000 * draw.integers(20, 60, m)).astype(np.int64)
    spend = sum(_spend(px[:, k], q[:, k], int(wanted[k]), int(v[k])) for k in range(m))
    return Sor(n, L, m, px, q, wanted, v, spend * 6 // 10 if budget else 0)


def vwap(n: int, T: int = SLICES, seed: int = 0) -> Vwap:  # noqa: N803 -- as in the formulas
    """An execution problem with the usual U of volumes over the day."""
    draw = _draw(3, seed, n, T)
    u = (np.arange(T) + 0.5) / T - 0.5
    shape = 0.6 + 2.4 * u * u
    share = draw.random(n) + 0.05
    share /= share.sum()
    volume = 1000.0 * n * share[:, None] * shape[None, :] * (0.6 + 0.8 * draw.random((n, T)))
    cap = 0.2 * volume
    a = 0.2 + 0.8 * draw.random((n, 1)) + 0.3 * draw.random((n, T))
    eta = 2.0 / volume * (0.5 + draw.random((n, 1)))
    total = 0.35 * cap.sum()
    limit = cap.sum(1) * (0.3 + 0.5 * draw.random(n))
    w = np.cumsum(shape)
    return Vwap(n, T, a, eta, cap, limit, w / w[-1] * total, float(total), 4.0 / (1000.0 * n))


def arb(n: int, m: int, L: int = LADDER_LEVELS, seed: int = 0) -> Arb:  # noqa: N803 -- as in the formulas
    """Ladders of m instruments at n venues, each with capital and inventory."""
    draw = _draw(4, seed, n, m, L)
    ref = 50.0 + 100.0 * draw.random(m)
    mid = ref[None, :] * (1 + 8e-4 * _noise(draw, (n, m)))
    tick = ref[None, :] * 1e-4
    fee = LADDER_FEES[draw.integers(0, 4, n)][:, None, None]
    up, down = (np.cumsum(1 + draw.integers(0, 2, (n, m, L)), 2) for _ in range(2))
    ask = (mid[:, :, None] + tick[:, :, None] * up) * (1 + fee)
    bid = (mid[:, :, None] - tick[:, :, None] * down) * (1 - fee)
    aq, bq = (np.float64(1.0) + draw.integers(1, 100, (n, m, L)) for _ in range(2))
    capital = (ask * aq).sum((1, 2)) * (0.02 + 0.15 * draw.random(n))
    inventory = bq.sum(2) * (0.2 + 0.6 * draw.random((n, m)))
    return Arb(n, m, L, ask, aq, bid, bq, capital, inventory, 0.002 * aq.sum((0, 2)), ref)


def ticked(instance: Instance, venue: int, seed: int = 1) -> Instance:
    """The instance after one venue's market moved; the one given is left as it is."""
    draw = _draw(9, seed, venue)
    if isinstance(instance, Cfmm):
        one, other = instance.Ra.copy(), instance.Rb.copy()
        one[venue] *= 1.01
        other[venue] *= 1 / 1.01
        return replace(instance, Ra=one, Rb=other)
    if isinstance(instance, Sor):
        q = instance.q.copy()
        q[venue, :, :3] = draw.integers(1, 200, q[venue, :, :3].shape)
        return replace(instance, q=q)
    if isinstance(instance, Vwap):
        a, cap = instance.a.copy(), instance.cap.copy()
        a[venue] *= 1.05
        cap[venue] *= 0.9
        return replace(instance, a=a, cap=cap)
    ask, bid, aq = instance.ask.copy(), instance.bid.copy(), instance.aq.copy()
    ask[venue] *= 1.0003
    bid[venue] *= 1.0003
    aq[venue, :, 0] = 1.0 + draw.integers(1, 100, instance.m)
    return replace(instance, ask=ask, bid=bid, aq=aq)


def quantised(instance: Instance) -> Instance:
    """What our words and native units hold of an instance, in floats that hold it exactly.

    Pools: reserves in native units of `decimals_of`, references on the grid 2^-40, fees in whole
    parts per million. Execution: costs on 2^-40, amounts in whole shares. Ladders: prices on 2^-40,
    limits on 2^-20. Books are whole numbers as they are.
    """
    if isinstance(instance, Cfmm):
        unit = 10.0 ** decimals_of(instance)
        return replace(
            instance,
            Ra=np.maximum(np.floor(instance.Ra * unit), 1.0) / unit,
            Rb=np.maximum(np.floor(instance.Rb * unit), 1.0) / unit,
            gam=(PPM - np.rint((1.0 - instance.gam) * PPM)) / PPM,
            c=_on_grid(instance.c, PRICE_BITS),
        )
    if isinstance(instance, Vwap):
        total = float(np.floor(instance.Q))
        return replace(
            instance,
            a=_on_grid(instance.a, PRICE_BITS),
            cap=np.floor(instance.cap),
            C=np.floor(instance.C),
            w=np.floor(instance.w * (total / instance.w[-1])),
            Q=total,
        )
    if isinstance(instance, Arb):
        held: dict[str, Any] = {}
        held |= {name: _on_grid(getattr(instance, name), PRICE_BITS) for name in ARB_PRICES}
        held |= {name: _below_grid(getattr(instance, name), AMOUNT_BITS) for name in ARB_AMOUNTS}
        return replace(instance, **held)
    return instance


ARB_PRICES = ("ask", "bid", "ref")
ARB_AMOUNTS = ("C", "inv", "h")


def decimals_of(instance: Cfmm) -> int:
    """Decimals of every token: at most nine, and few enough for exact floats and the band."""
    largest = max(float(instance.Ra.max()), float(instance.Rb.max()))
    fitting = (d for d in range(DECIMALS_MOST, 0, -1) if largest * 10**d <= NATIVE_MOST)
    return next(fitting, 0)


def saved(instance: Instance, path: str) -> None:
    """Write an instance to an .npz file, exactly."""
    held: dict[str, Any] = {each.name: getattr(instance, each.name) for each in fields(instance)}
    np.savez(path, family=np.array(type(instance).__name__), **held)


def loaded(path: str) -> Instance:
    """The instance of a file that `saved` wrote."""
    with np.load(path) as held:
        made = {"Cfmm": Cfmm, "Sor": Sor, "Vwap": Vwap, "Arb": Arb}[str(held["family"])]
        values = {each.name: held[each.name] for each in fields(made)}
    plain = {name: value.item() if value.ndim == 0 else value for name, value in values.items()}
    return cast("Instance", made(**plain))


def _draw(family: int, seed: int, *sizes: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([family, seed, *sizes])))


def _noise(draw: np.random.Generator, shape: tuple[int, ...]) -> Reals:
    """Mean 0 and variance 1 without transcendental functions: twelve uniforms less six."""
    return np.asarray(draw.random((12, *shape)).sum(0) - 6.0, dtype=np.float64)


def _spend(px: Whole, q: Whole, wanted: int, value: int) -> int:
    """What the cheapest `wanted` lots cost of those that are worth their price."""
    prices, lots = px.ravel(), q.ravel()
    worth = prices <= value
    order = np.argsort(prices[worth], kind="stable")
    taken = np.diff(np.minimum(np.cumsum(lots[worth][order]), wanted), prepend=0)
    return int((taken * prices[worth][order]).sum())


def _on_grid(values: Reals, bits: int) -> Reals:
    return np.asarray(np.rint(values * 2.0**bits) * 2.0**-bits, dtype=np.float64)


def _below_grid(values: Reals, bits: int) -> Reals:
    return np.asarray(np.floor(values * 2.0**bits) * 2.0**-bits, dtype=np.float64)
