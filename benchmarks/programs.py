"""The four families as one central program each: what a peer solver is given.

A cone program is min q'x with b - A x in non-negative and second-order cones; a linear or quadratic
one is min c'x + x'Px / 2 with lo <= A x <= hi and xl <= x <= xu. Each is scaled as a serious user
would scale it; `amounts` takes an optimum back to units. Needs numpy and scipy alone.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp  # type: ignore[import-untyped]  # scipy has no stubs
from benchmarks.instances import Arb, Cfmm, Reals, Sor, Vwap

PRICE_UNIT = 1e4


@dataclass(frozen=True)
class Cones:
    """min q'x, b - A x in `linear` non-negatives, then `cones` second-order cones of three.

    column: units of a variable; amounts = x * column.
    """

    q: Reals
    A: sp.csc_matrix
    b: Reals
    linear: int
    cones: int
    column: Reals


@dataclass(frozen=True)
class Rows:
    """min c'x + x'Px / 2, lo <= A x <= hi, xl <= x <= xu; P is None without squares."""

    c: Reals
    A: sp.csr_matrix
    lo: Reals
    hi: Reals
    xl: Reals
    xu: Reals
    P: sp.csc_matrix | None = None


def cfmm_cones(inst: Cfmm) -> Cones:
    """Pools as cones: variables (paid a, paid b, got a, got b) by pool, in parts of its reserves.

    (R_a + gam paid_a - got_a)(R_b + gam paid_b - got_b) >= R_a R_b is one cone of three:
    |(u - w, 2)| <= u + w with u, w the two factors over sqrt(R_a R_b).
    """
    n, m = inst.n, inst.m
    pool = np.arange(n)
    paid_a, paid_b, got_a, got_b = pool, pool + n, pool + 2 * n, pool + 3 * n
    column = np.concatenate([inst.Ra, inst.Rb, inst.Ra, inst.Rb])
    held = np.bincount(np.r_[inst.ia, inst.ib], np.r_[inst.Ra, inst.Rb], m)
    ones = np.ones(n)
    net = sp.csr_matrix(
        (
            np.concatenate([ones, ones, -ones, -ones]),
            (
                np.concatenate([inst.ia, inst.ib, inst.ia, inst.ib]),
                np.concatenate([paid_a, paid_b, got_a, got_b]),
            ),
        ),
        shape=(m, 4 * n),
    )
    root = np.sqrt(inst.Ra * inst.Rb)
    first, sign = 3 * pool, inst.gam / root
    rows, cols, values = [], [], []
    for row, side in ((first, 1.0), (first + 1, -1.0)):
        parts = ((paid_a, -sign), (got_a, 1 / root), (paid_b, -side * sign), (got_b, side / root))
        for col, value in parts:
            rows.append(row)
            cols.append(col)
            values.append(value)
    cone = sp.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))),
        shape=(3 * n, 4 * n),
    )
    scaled = sp.diags(1 / np.maximum(held, 1e-9)) @ net @ sp.diags(column)
    matrix = sp.vstack([-sp.identity(4 * n), scaled, cone @ sp.diags(column)]).tocsc()
    b = np.zeros(matrix.shape[0])
    offset = 4 * n + m
    b[offset + first] = (inst.Ra + inst.Rb) / root
    b[offset + first + 1] = (inst.Ra - inst.Rb) / root
    b[offset + first + 2] = 2.0
    price = np.concatenate([inst.c[inst.ia], inst.c[inst.ib]])
    q = np.concatenate([price, -price]) * column
    return Cones(q / np.abs(q).max(), matrix, b, offset, n, column)


def sor_rows(inst: Sor) -> Rows:
    """Books: cheapest lots, as many as wanted; with a budget, the most surplus within it."""
    n, m, levels = inst.n, inst.m, inst.L
    size = n * m * levels
    px = inst.px.astype(np.float64).ravel() / PRICE_UNIT
    of = np.tile(np.repeat(np.arange(m), levels), n)
    matrix = sp.csr_matrix((np.ones(size), (of, np.arange(size))), shape=(m, size))
    wanted, none = inst.Q.astype(np.float64), np.zeros(size)
    most = inst.q.astype(np.float64).ravel()
    if not inst.B:
        return Rows(px, matrix, wanted, wanted, none, most)
    spend = sp.csr_matrix(px[None] / PRICE_UNIT)
    limits = np.append(wanted, inst.B / PRICE_UNIT**2)
    surplus = px - inst.v.astype(np.float64)[of] / PRICE_UNIT
    matrix = sp.vstack([matrix, spend]).tocsr()
    return Rows(surplus, matrix, np.full(m + 1, -np.inf), limits, none, most)


def vwap_rows(inst: Vwap) -> Rows:
    """Execution: variables x (n T) and the cumulative totals s (T); s_t - s_(t-1) = sum_i x_it."""
    n, slices = inst.n, inst.T
    size = n * slices
    weight = np.full(slices, inst.kappa)
    steps = sp.diags([np.ones(slices), -np.ones(slices - 1)], [0, -1])
    matrix = sp.bmat(
        [
            [-sp.kron(np.ones((1, n)), sp.identity(slices)), steps],
            [sp.kron(sp.identity(n), np.ones((1, slices))), sp.csr_matrix((n, slices))],
        ]
    ).tocsr()
    free = np.full(slices, np.inf)
    low, high = -free, free.copy()
    low[-1] = high[-1] = inst.Q
    return Rows(
        c=np.concatenate([inst.a.ravel(), -inst.kappa * inst.w]),
        A=matrix,
        lo=np.concatenate([np.zeros(slices), np.full(n, -np.inf)]),
        hi=np.concatenate([np.zeros(slices), inst.C]),
        xl=np.concatenate([np.zeros(size), low]),
        xu=np.concatenate([inst.cap.ravel(), high]),
        P=sp.diags(np.concatenate([inst.eta.ravel(), weight])).tocsc(),
    )


def arb_rows(inst: Arb) -> Rows:
    """Ladders: variables (bought, sold) by level, in the order of the arrays."""
    n, m, levels = inst.n, inst.m, inst.L
    size = n * m * levels
    level = np.arange(size)
    venue, of = level // (m * levels), (level // levels) % m
    ones, ref = np.ones(size), inst.ref[of]
    ask, bid = inst.ask.ravel(), inst.bid.ravel()
    one = sp.csr_matrix((ones, (of, level)), shape=(m, size))
    spent = sp.csr_matrix((ask, (venue, level)), shape=(n, size))
    sold = sp.csr_matrix((ones, (venue * m + of, level)), shape=(n * m, size))
    matrix = sp.bmat(
        [
            [one, -one],
            [spent, sp.csr_matrix((n, size))],
            [sp.csr_matrix((n * m, size)), sold],
        ]
    ).tocsr()
    return Rows(
        c=np.concatenate([ask - ref, ref - bid]),
        A=matrix,
        lo=np.concatenate([-inst.h, np.full(n + n * m, -np.inf)]),
        hi=np.concatenate([inst.h, inst.C, inst.inv.ravel()]),
        xl=np.zeros(2 * size),
        xu=np.concatenate([inst.aq.ravel(), inst.bq.ravel()]),
    )


def rows_of(inst: Sor | Vwap | Arb) -> Rows:
    """The rows of any family but pools."""
    if isinstance(inst, Sor):
        return sor_rows(inst)
    return vwap_rows(inst) if isinstance(inst, Vwap) else arb_rows(inst)


def cones_of_rows(rows: Rows) -> tuple[sp.csc_matrix, Reals, int, int]:
    """(A, b, equalities, inequalities) with b - A x zero, then non-negative."""
    equal = rows.lo == rows.hi
    above, below = ~equal & np.isfinite(rows.hi), ~equal & np.isfinite(rows.lo)
    unit = sp.identity(len(rows.c), format="csr")
    fixed = rows.xl == rows.xu
    top, floor = ~fixed & np.isfinite(rows.xu), ~fixed & np.isfinite(rows.xl)
    matrix = sp.vstack(
        [rows.A[equal], unit[fixed], rows.A[above], -rows.A[below], unit[top], -unit[floor]]
    ).tocsc()
    b = np.concatenate(
        [rows.hi[equal], rows.xu[fixed], rows.hi[above], -rows.lo[below], rows.xu[top],
         -rows.xl[floor]]
    )  # fmt: skip
    equalities = int(equal.sum() + fixed.sum())
    return matrix, b, equalities, matrix.shape[0] - equalities
