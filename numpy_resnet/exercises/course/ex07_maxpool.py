# %% [markdown]
# # 7. Max pool: the winner takes all
#
# *Medium · 30 minutes*
#
# **Why.** The stem of a ResNet-18 ends with a max pool: of every 3x3 window the largest value goes on, and the map that
# was 112x112 is 56x56. There is nothing to learn in it, but it has to remember something: who won.
#
# **Shapes.** `x` (N, C, H, W). `y` and `dy` (N, C, OH, OW), one value per window, by the same arithmetic as for a
# convolution. `dx` (N, C, H, W). `kernel_size`, `stride` and `padding` are an int or a pair (height, width); a stride
# of None is that of the kernel, so that the windows lie side by side.
#
# **Two conventions**, those of PyTorch. The padding is -inf, so that it never wins: with zeros it would beat every
# negative pixel. And when several pixels of a window are equally large, the first of them wins, in reading order.
#
# **By hand.** One image of 4x4, windows of 2x2 side by side:
#
# ```text
#        x                y            dy               dx
#   1  3 |  2  0
#   5  5 |  1  4        5  4         10 20         0  0 |  0  0
#  ------+-------      -1  8         30 40        10  0 |  0 20
#  -1 -4 |  7  2                                 -------+-------
#  -2 -3 |  6  8                                  30  0 |  0  0
#                                                  0  0 |  0 40
# ```
#
# The upper left window has a tie: both fives are largest. The left one comes first and gets the whole 10; the other
# one gets nothing.
#
# Windows may overlap. With 3x3 windows and stride 1 there are four of them as well; the 7 wins three and the 8 one, so
# y is 7, 7, 7, 8. With the same dy the 7 gets 10 + 20 + 30 = 60, the 8 gets 40, and everybody else 0.

# %%
from typing import NamedTuple

import numpy as np
from ex04_columns import output_size, pair

# %% [markdown]
# ## Forward
#
# Count the places of a window in reading order: (kh, kw) is number `kh*KW + kw`. For one place, a strided slice of the
# padded image shows what *all* windows have there, as an array (N, C, OH, OW). So a loop over the `KH*KW` places is
# enough, and nobody has to loop over pixels. This is the loop of `im2col` again.


# %%
class MaxpoolCache(NamedTuple):
    shape: tuple  # that of x, (N, C, H, W)
    winner: np.ndarray  # (N, C, OH, OW), integers: the number of the place that won this window
    kernel_size: tuple  # (KH, KW), always a pair here, as are the next two
    stride: tuple
    padding: tuple


def maxpool2d(x, *, kernel_size, stride=None, padding=0):
    """y[n, c, oh, ow] = the largest x of its window, -inf in the padding.

    x (N, C, H, W) -> y (N, C, OH, OW), cache
    """
    N, C, H, W = x.shape
    KH, KW = pair(kernel_size)
    SH, SW = pair(kernel_size if stride is None else stride)
    PH, PW = pair(padding)
    OH, OW = output_size((H, W), (KH, KW), (SH, SW), (PH, PW))
    # TODO: y and winner: pad x, then loop over the places of a window; the dtype of y is that of x
    ### BEGIN SOLUTION
    padded = np.full((N, C, H + 2 * PH, W + 2 * PW), -np.inf, x.dtype)
    padded[:, :, PH : PH + H, PW : PW + W] = x
    y = np.full((N, C, OH, OW), -np.inf, x.dtype)
    winner = np.zeros((N, C, OH, OW), int)
    for place, (kh, kw) in enumerate(np.ndindex(KH, KW)):
        seen = padded[:, :, kh : kh + SH * OH : SH, kw : kw + SW * OW : SW]  # (N, C, OH, OW)
        winner[seen > y] = place  # > and not >=: who comes later with the same value does not win
        y = np.maximum(y, seen)
    ### END SOLUTION
    return y, MaxpoolCache(x.shape, winner, (KH, KW), (SH, SW), (PH, PW))


# %% [markdown]
# ## Backward


# %%
def maxpool2d_backward(dy, cache):
    """The winner of a window gets its dy, the others get 0.   dy (N, C, OH, OW) -> dx (N, C, H, W)"""
    (N, C, H, W), winner, (KH, KW), (SH, SW), (PH, PW) = cache
    OH, OW = winner.shape[2:]
    # TODO: dx, in the same loop; a pixel that wins several windows gets the dy of each
    ### BEGIN SOLUTION
    padded = np.zeros((N, C, H + 2 * PH, W + 2 * PW), dy.dtype)
    for place, (kh, kw) in enumerate(np.ndindex(KH, KW)):
        won = dy * (winner == place)  # (N, C, OH, OW)
        padded[:, :, kh : kh + SH * OH : SH, kw : kw + SW * OW : SW] += won
    return padded[:, :, PH : PH + H, PW : PW + W]
    ### END SOLUTION


# %% [markdown] derivation
# Within a window y is a *copy* of the winner. When the winner grows by a little, y grows by as much; when another pixel
# grows by a little, it still does not win, and y stays. So the slopes are 1 and 0, and the winner gets dy whole. This
# is ReLU with more contestants: relu(x) is the maximum of x and 0.
#
# One pixel can lie in several windows and win more than one of them. Each is a way by which it moves the loss, and the
# gradients of all ways add up: hence `+=`. Within one pass of the loop there is no conflict, because all windows have
# different pixels at the same place. This is why the loop runs over places.
#
# At a tie there is a kink. Growing either of the two moves y, shrinking one alone does not, so there is no slope to be
# right or wrong about, only a convention. Giving dy to *both* is worse than a convention, though: the gradients of one
# window would add up to 2 dy, more than came in. Who keeps a number instead of comparing x == y cannot make that
# mistake.

# %% [markdown] hints
# 1. Forward, it is a tournament: everybody starts with y = -inf, and place after place challenges the best so far.
#    Backward, walk over the places again and ask each: which windows did you win?
# 2. In the loop, `seen = padded[:, :, kh : kh + SH*OH : SH, kw : kw + SW*OW : SW]`. Where seen > y, the winner is this
#    place; then y becomes the larger of both. Backward, `dy * (winner == place)` is added to the same slice of an image
#    of zeros.
# 3. seen, y, winner, dy and `dy * (winner == place)` are all (N, C, OH, OW). Both padded images are
#    `(N, C, H + 2*PH, W + 2*PW)`, and `[:, :, PH : PH + H, PW : PW + W]` of it is the image: forward x is put there,
#    backward dx is cut out. Give `np.full` and `np.zeros` the dtype of x or dy.

# %%
if __name__ == "__main__":  # the example by hand: run this file
    x = np.array([[1.0, 3.0, 2.0, 0.0], [5.0, 5.0, 1.0, 4.0], [-1.0, -4.0, 7.0, 2.0], [-2.0, -3.0, 6.0, 8.0]])
    x, dy = x.reshape(1, 1, 4, 4), np.array([[10.0, 20.0], [30.0, 40.0]]).reshape(1, 1, 2, 2)
    y, cache = maxpool2d(x, kernel_size=2)
    np.testing.assert_allclose(y[0, 0], [[5, 4], [-1, 8]])
    dx = maxpool2d_backward(dy, cache)
    np.testing.assert_allclose(dx[0, 0], [[0, 0, 0, 0], [10, 0, 0, 20], [30, 0, 0, 0], [0, 0, 0, 40]])

    y, cache = maxpool2d(x, kernel_size=3, stride=1)  # windows that overlap
    np.testing.assert_allclose(y[0, 0], [[7, 7], [7, 8]])
    dx = maxpool2d_backward(dy, cache)
    np.testing.assert_allclose(dx[0, 0], [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 60, 0], [0, 0, 0, 40]])

    y, _ = maxpool2d(-np.ones((1, 1, 3, 3)), kernel_size=3, stride=2, padding=1)  # the padding never wins
    np.testing.assert_allclose(y, -1)
    print("the example by hand agrees")
