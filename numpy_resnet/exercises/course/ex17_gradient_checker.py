# %% [markdown]
# # 17. The gradient checker: who checks the backwards?
#
# *Hard · 35 minutes*
#
# **Why.** A wrong backward seldom crashes. The network still learns, only worse, and nobody knows why. But a forward is
# easy to get right, and it knows its own slope: move an input a little, and look how far the output goes. Here you
# write the judge. Then 24 wrong backwards of this course's operations are brought before it, and some right ones: each
# wrong one that gets through costs you, and so does each right one that is turned away.
#
# **Shapes.** `arrays` is a list of float64 arrays of any shape, with 1 to 150 entries in all. They keep away from the
# kinks of ReLU and the ties of max pooling. `f(*arrays)` returns `y, cache`, where y is an array or a number.
# `f_backward(dy, cache)` returns one gradient for each array, in their order; if there is one array only, its gradient
# may come bare. Options such as a stride are bound already. What the cache is does not concern you: hand it on. Both
# functions run in another process, half a millisecond for each call: a few hundred calls are fine, many thousands are
# not.
#
# **Central differences.** Let L = sum(dy * y), one number. What f_backward returns claims to be the slope of L in each
# entry. To measure it, take one entry a step of h up and a step of h down, and leave all others:
#
# numeric = (L(x + h) - L(x - h)) / 2h
#
# The two places are 2h apart, hence 2h. `(L(x + h) - L(x)) / h` needs half as many calls, and is much worse, because it
# looks to one side only. For y = x³ at 3, where the slope is 27, they are off by this much:
#
# | h     | one side | central |                                                 |
# |-------|----------|---------|-------------------------------------------------|
# | 1e-1  | 9e-1     | 1e-2    | *truncation*: x³ is no straight line            |
# | 1e-3  | 9e-3     | 1e-6    |                                                 |
# | 1e-5  | 9e-5     | 2e-10   |                                                 |
# | 1e-7  | 8e-7     | 4e-8    |                                                 |
# | 1e-9  | 2e-6     | 2e-6    | *rounding*: of the 16 digits most cancel        |
# | 1e-11 | 9e-5     | 9e-5    |                                                 |
# | 1e-13 | 3e-2     | 3e-2    |                                                 |
#
# Truncation shrinks with h² (one side: with h), rounding grows with 1e-16 / h. They meet near 1e-5. Where a function
# bends sharply, as a batch norm does whose variance is tiny, truncation is larger, so go a little lower: 1e-6.
#
# **Random upstream.** With a dy of ones, L is the sum of y. Then a backward that ignores dy passes for right. And the
# sum of a softmax is always 1, so the gradient is 0, as it is in many a wrong backward. Draw dy from a normal
# distribution.
#
# **How close is close?** With numbers near 1000 an error of 1e-5 is excellent, with numbers near 1e-5 it is all wrong:
# so the error must be *relative*. But not entry by entry: beside a gradient of 300, one that should be 1e-9 is mostly
# rounding. Divide the largest error in a gradient by the largest number in it, and take care where all of them are 0.
#
# **What differences cannot see.** The numbers may be right and the backward still not fit for use:
#
# - *Writes.* It has written into dy, which the shortcut needs too, or into an input. Keep copies, and compare.
# - *State.* It remembers another call. A network runs all its forwards first, and then all its backwards. So call f
#   with other arrays before and in between, and ask for the same gradient twice.
# - *Not linear.* Every backward is linear in dy. If it clips what is large, a small dy will not show it.
# - *Form.* A gradient is missing, or has another shape that broadcasting makes up for; it is NaN; an exception comes.
#
# **By hand.** y = x² at 3, with h = 0.1:
#
# |                  |                     |     |
# |------------------|---------------------|-----|
# | one side         | (9.61 - 9) / 0.1    | 6.1 |
# | central          | (9.61 - 8.41) / 0.2 | 6   |
# | central, dy = 5  | 5 · 1.2 / 0.2       | 30  |
# | backward, 2x·dy  | 2 · 3 · 5           | 30  |
#
# For a parabola the central difference is exact, whatever h is. For y = x³ at 3 it is (29.791 - 24.389) / 0.2 = 27.01.

# %%
import numpy as np


def copies(arrays):
    return [np.array(a) for a in arrays]


def as_list(gradients):
    """What a backward returned -> a list of arrays of its own"""
    return copies(gradients if isinstance(gradients, tuple | list) else [gradients])


# %% [markdown]
# ## The measured gradient
#
# Hand copies to f: you do not know yet what it does with them.


# %%
def numerical_gradient(f, arrays, i, dy, h):
    """sum(dy * (f(x + h) - f(x - h))) / 2h for x = arrays[i], entry by entry.   -> the shape of arrays[i]"""
    # TODO: for each entry of arrays[i], the difference of two calls of f
    ### BEGIN SOLUTION
    numeric = np.zeros(arrays[i].shape)
    for index in np.ndindex(numeric.shape):
        above, below = copies(arrays), copies(arrays)
        above[i][index] += h
        below[i][index] -= h
        numeric[index] = np.sum(dy * (f(*above)[0] - f(*below)[0])) / (2 * h)
    return numeric
    ### END SOLUTION


def agree(gradients, expected, tolerance):
    """Whether two lists of arrays have the same length, the same shapes and, up to the tolerance, the same numbers."""
    # TODO: True or False; the error of each array relative to its largest number. And if a gradient is NaN, infinite?
    ### BEGIN SOLUTION
    if [np.shape(g) for g in gradients] != [np.shape(e) for e in expected]:
        return False
    return all(
        np.abs(g - e).max() < tolerance * max(np.abs(e).max(), 1e-3) for g, e in zip(gradients, expected, strict=True)
    )
    ### END SOLUTION


# %% [markdown] derivation
# Taylor: L(x + h) = L + L'h + L''h²/2 + L'''h³/6 + ..., and in L(x - h) the odd terms change sign. In the difference
# the even ones cancel; what is left is 2L'h + L'''h³/3, and after dividing by 2h the error is L'''h²/6. One side alone
# keeps L''h/2. A parabola has no L''', hence the exact 6; x³ has 6, hence the 0.01 for h = 0.1. Each L is rounded by
# some 1e-16 of its size, and dividing by 2h blows that up. Both errors together are smallest where h² is about
# 1e-16 / h, which is near h = 5e-6.
#
# In `agree` the scale comes from the measured numbers only: with the larger of both, an infinite gradient would be
# compared with an infinite tolerance. The 1e-3 says what counts as zero: errors below 1e-8 are rounding. And the
# comparison asks what is *right*, with a strict `<`: every comparison with NaN is False, and so is inf < inf. If it
# asked what is wrong, `error > tolerance`, NaN would get through.

# %% [markdown]
# ## What differences cannot see


# %%
def writes_nothing(f, f_backward, arrays, dy):
    """Whether forward and backward leave the arrays and dy as they are."""
    # TODO: one forward, one backward, with copies; have these changed?
    ### BEGIN SOLUTION
    given, upstream = copies(arrays), np.array(dy)
    _, cache = f(*given)
    f_backward(upstream, cache)
    return all(np.array_equal(a, b) for a, b in zip([*given, upstream], [*arrays, dy], strict=True))
    ### END SOLUTION


def remembers_nothing(f, f_backward, arrays, others, dy):
    """Whether other calls make no difference; `others` have the shapes of the arrays."""
    # TODO: use the pair with others; with arrays; with others again; then once more backward with the cache of arrays
    ### BEGIN SOLUTION
    _, cache = f(*copies(others))
    f_backward(np.array(dy), cache)
    y, cache = f(*copies(arrays))
    once = as_list(f_backward(np.array(dy), cache))
    f(*copies(others))
    again = as_list(f_backward(np.array(dy), cache))
    return agree(again, once, 1e-9) and agree([f(*copies(arrays))[0]], [y], 1e-9)
    ### END SOLUTION


def is_linear(f, f_backward, arrays, dy, dz):
    """Whether backward of dy - 1000 * dz is backward of dy, minus 1000 times backward of dz."""
    # TODO: one forward, three backwards
    ### BEGIN SOLUTION
    _, cache = f(*copies(arrays))
    for_dy, for_dz, for_both = (as_list(f_backward(np.array(u), cache)) for u in (dy, dz, dy - 1000 * dz))
    return agree(for_both, [a - 1000 * b for a, b in zip(for_dy, for_dz, strict=True)], 1e-9)
    ### END SOLUTION


# %% [markdown] derivation
# A backward that keeps what it saw *last* is wrong when another forward has come between: `again` differs from `once`.
# One that adds to a buffer gives the second time more than the first. One that keeps what it saw *first* would give the
# same answer each time, and the right one if the first it saw were `arrays`: therefore `others` go first, and this test
# comes before the differences, which then find it out. A backward that spoils its own cache, say by a step of the
# optimiser on the weight in there, is caught too, even where the copies that you hold do not show it.
#
# Differences with one dy check the backward for this dy. If it is linear as well, then it is right for any.

# %% [markdown]
# ## The verdict
#
# The cheap tests first. An exception is a False as well; but put the `try` in last, since it hides your own mistakes
# too. For the other arrays, shuffle the entries: `rng.permuted(a)`. So they stay numbers that f can be called with.


# %%
def check_gradients(f, f_backward, arrays, seed=0):
    """Whether f_backward is the right backward of f at these arrays.   -> True or False"""
    # TODO: dy, dz and other arrays from the seed; the three tests above; backward against the measured gradients
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    others = [rng.permuted(a) for a in arrays]
    try:
        y, _ = f(*copies(others))
        dy, dz = rng.standard_normal((2, *np.shape(y)))
        if not (
            remembers_nothing(f, f_backward, arrays, others, dy)
            and writes_nothing(f, f_backward, arrays, dy)
            and is_linear(f, f_backward, arrays, dy, dz)
        ):
            return False
        _, cache = f(*copies(arrays))
        gradients = as_list(f_backward(np.array(dy), cache))
        numeric = [numerical_gradient(f, arrays, i, dy, 1e-6) for i in range(len(arrays))]
        return agree(gradients, numeric, 1e-5)
    except Exception:
        return False
    ### END SOLUTION


# %% [markdown] hints
# 1. The forward is the witness: whatever the backward says, two calls of f tell what the slope is. And the backward is
#    a tool that others will use, so try what they will do: keep dy, run it twice, have another forward in between.
# 2. numeric = sum(dy * (y_above - y_below)) / 2h with h = 1e-6 and random dy; right if the largest error is below 1e-5
#    times the largest number of the measured gradient, or below 1e-8 if that is nearly 0. Write the comparison so that
#    NaN comes out as wrong. Repeated and linear gradients agree much better than that: 1e-9.
# 3. dy has the shape of y, which is () for a number. Each gradient must have exactly the shape of its array, and there
#    must be as many as arrays: compare the shapes before you subtract, or broadcasting will make a (3,) out of a ().
#    `np.ndindex(x.shape)` runs through all entries of an array of any shape.

# %%
if __name__ == "__main__":  # the example by hand: run this file

    def square(x):
        return x**2, x

    def square_backward(dy, x):
        return 2 * x * dy

    three, five = np.array([3.0]), np.array([5.0])
    np.testing.assert_allclose(numerical_gradient(square, [three], 0, np.array([1.0]), 0.1), [6])
    np.testing.assert_allclose(numerical_gradient(square, [three], 0, five, 0.1), [30])
    np.testing.assert_allclose(square_backward(five, three), [30])
    np.testing.assert_allclose(numerical_gradient(lambda x: (x**3, x), [three], 0, np.array([1.0]), 0.1), [27.01])

    def doubles_dy(dy, x):
        dx = 2 * x * dy
        dy *= 2
        return dx

    last = {}

    def square_that_remembers(x):
        last["x"] = x
        return x**2, None

    x = np.array([[1.0, -2, 3], [0.5, 4, -1]])
    assert check_gradients(square, square_backward, [x])
    assert check_gradients(lambda a, b: (np.sum(a * b), (a, b)), lambda dy, ab: (dy * ab[1], dy * ab[0]), [x, x + 1])
    wrong = {
        "2 forgotten": lambda dy, x: x * dy,
        "dy ignored": lambda dy, x: 2 * x,
        "clipped": lambda dy, x: 2 * x * np.clip(dy, -10, 10),
        "NaN": lambda dy, x: np.where(x > 0, 2 * x * dy, np.nan),
        "summed": lambda dy, x: np.sum(2 * x * dy, axis=0),
        "dy written to": doubles_dy,
        "an exception": lambda dy, x: dy @ x,
    }
    for name, backward in wrong.items():
        assert not check_gradients(square, backward, [x]), name
    assert not check_gradients(square_that_remembers, lambda dy, _: 2 * last["x"] * dy, [x])
    print(f"the example by hand agrees; {len(wrong) + 1} wrong backwards of x**2 are caught")
