"""Loops that Numba compiles for the processor at hand, over weights of 16 or 8 bits.

A step of a model reads every weight once, and reading is what takes its time: half the bytes, half the time.
Weights become float32 in the processor's registers, are multiplied and added as such: nothing is rounded but,
once, the weights. They are float16, which come as their bits (uint16), since Numba has float16 on GPUs alone;
or int8, with a scale for each row (of float16, it is 1).

T tokens, D and E widths.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from chatbot.engines.loops.keeping import Kept

# Sums in any order, a product and a sum in one instruction: what it takes to add sixteen at once.
MATH = {"reassoc", "contract", "nsz", "arcp"}
LOG2E, LN2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
LINE = 64  # bytes that memory is read by
AHEAD = 98304  # bytes: as long as memory takes to answer, at the pace at which a step reads
MOST = np.float32(87)  # e to the power of this is near float32's largest, of its negative near its smallest


def compiled(function: Any) -> Any:  # Any: Numba has no types
    """By Numba, at the first call; later processes find it beside the source or in the user's cache."""
    made: Any = njit(fastmath=MATH, nogil=True, error_model="numpy")(function)
    kept: Any = Kept
    with suppress(RuntimeError):  # there is no folder to keep it in
        made._cache = kept(function)  # as cache=True does it
    return made


def instruction(function: Any) -> Any:  # Any: Numba has no types
    """One that compiled code can use as a function."""
    return intrinsic(function)


@instruction
def widened(typing: Any, weight: Any) -> Any:  # Any: Numba has no types
    """The float32 of a float16's bits, or of an int8."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if weight == types.int8:
            return builder.sitofp(arguments[0], ir.FloatType())
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(weight), generate


@instruction
def power_of_two(typing: Any, exponent: Any) -> Any:  # Any: Numba has no types
    """2 to the power of an int32 from -126 to 127, as float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        biased = builder.add(arguments[0], ir.Constant(ir.IntType(32), 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(ir.IntType(32), 23)), ir.FloatType())

    return types.float32(types.int32), generate


@instruction
def fetched(typing: Any, array: Any, place: Any) -> Any:  # Any: Numba has no types
    """Have memory so many bytes behind the array's beginning brought near; if there is none, all is well."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        insert: Any = cgutils.get_or_insert_function
        function = insert(builder.module, kind, "llvm.prefetch.p0")
        start = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = builder.gep(builder.bitcast(start, byte), [arguments[1]])
        builder.call(function, [address, number(0), number(2), number(1)])  # to be read, second cache, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@compiled
def exp(x: Any) -> Any:
    """e to the power of x, as if x were off by a last digit: Taylor's series between powers of two."""
    scaled = max(min(x, MOST), -MOST) * LOG2E
    whole = np.floor(scaled + np.float32(0.5))
    left, series = (scaled - whole) * LN2, np.float32(1 / 5040)
    for factorial in (720, 120, 24, 6, 2, 1, 1):
        series = series * left + np.float32(1 / factorial)
    return series * power_of_two(np.int32(whole))


@compiled
def product(weight: Any, scale: Any, x: Any, y: Any) -> None:
    """weight (E, D), of scales (E,), times x (D,) into y (E,): two rows at once.

    Memory is asked ahead of time, since a processor does not guess well what two rows at once will read: 1.4
    times the pace of one row after another where weights do not fit its caches (benchmarks/one_row.py).
    """
    rows, bytes_ = weight.shape[0], weight.itemsize * weight.shape[1]
    for row in range(0, rows - 1, 2):
        for place in range(row * bytes_, (row + 2) * bytes_, LINE):
            fetched(weight, place + AHEAD)
        one = two = np.float32(0)
        for i in range(len(x)):
            one += widened(weight[row, i]) * x[i]
            two += widened(weight[row + 1, i]) * x[i]
        y[row], y[row + 1] = one * scale[row], two * scale[row + 1]
    for row in range(rows - rows % 2, rows):
        one = np.float32(0)
        for i in range(len(x)):
            one += widened(weight[row, i]) * x[i]
        y[row] = one * scale[row]


@compiled
def products(weight: Any, scale: Any, x: Any, y: Any) -> None:
    """weight (E, D), of scales (E,), times each row of x (T, D) into y (T, E): tiles of four by four.

    Sixteen sums stay in registers; written out, since a compiler keeps no array there.
    """
    rows, tokens = len(weight) - len(weight) % 4, len(x) - len(x) % 4
    for row in range(0, rows, 4):
        for t in range(0, tokens, 4):
            aa = ab = ac = ad = ba = bb = bc = bd = np.float32(0)
            ca = cb = cc = cd = da = db = dc = dd = np.float32(0)
            for i in range(x.shape[1]):
                a, b, c, d = (
                    widened(weight[row, i]),
                    widened(weight[row + 1, i]),
                    widened(weight[row + 2, i]),
                    widened(weight[row + 3, i]),
                )
                xa, xb, xc, xd = x[t, i], x[t + 1, i], x[t + 2, i], x[t + 3, i]
                aa, ab, ac, ad = aa + a * xa, ab + a * xb, ac + a * xc, ad + a * xd
                ba, bb, bc, bd = ba + b * xa, bb + b * xb, bc + b * xc, bd + b * xd
                ca, cb, cc, cd = ca + c * xa, cb + c * xb, cc + c * xc, cd + c * xd
                da, db, dc, dd = da + d * xa, db + d * xb, dc + d * xc, dd + d * xd
            y[t, row], y[t + 1, row], y[t + 2, row], y[t + 3, row] = aa, ab, ac, ad
            y[t, row + 1], y[t + 1, row + 1], y[t + 2, row + 1], y[t + 3, row + 1] = ba, bb, bc, bd
            y[t, row + 2], y[t + 1, row + 2], y[t + 2, row + 2], y[t + 3, row + 2] = ca, cb, cc, cd
            y[t, row + 3], y[t + 1, row + 3], y[t + 2, row + 3], y[t + 3, row + 3] = da, db, dc, dd
    for t in range(tokens):
        for row in range(rows):
            y[t, row] *= scale[row]
        product(weight[rows:], scale[rows:], x[t], y[t, rows:])
    for t in range(tokens, len(x)):
        product(weight, scale, x[t], y[t])


@compiled
def norm(x: Any, weight: Any, y: Any) -> None:
    """Rows of x (T, D), normalised (Zhang & Sennrich 2019, eq. 4), into y."""
    for t in range(len(x)):
        squares = np.float32(0)
        for i in range(len(weight)):
            squares += x[t, i] * x[t, i]
        scale = np.float32(1) / np.sqrt(squares / np.float32(len(weight)) + np.float32(1e-5))
        for i in range(len(weight)):
            y[t, i] = x[t, i] * scale * weight[i]


@compiled
def softmax(x: Any) -> None:
    """In place; what is under the largest by more than MOST is as good as zero."""
    largest, whole = x[0], np.float32(0)
    for i in range(len(x)):
        largest = max(largest, x[i])
    for i in range(len(x)):
        x[i] = exp(x[i] - largest)
    for i in range(len(x)):
        whole += x[i]
    for i in range(len(x)):
        x[i] /= whole
