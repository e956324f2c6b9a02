# %% [markdown]
# # 16. SGD with momentum: the step that the gradients are for
#
# *Easy · 15 minutes*
#
# **Why.** Backward says which way is down, at this one place. Somebody has to take the step. Plain gradient descent
# goes lr times the gradient, and has trouble in a ravine, where the loss is steep one way and nearly flat the other. If
# lr is large enough for the flat way, the steps jump from wall to wall; if it is small enough for the steep way, the
# flat one takes for ever. With momentum the weights move like something heavy: along the ravine, where all gradients
# agree, they gain speed; across it, where the gradient changes sign at each step, they do not.
#
# **Shapes.** `weight`, `dweight` and `velocity` have the same shape, any shape; `velocity` is None before the first
# step. `lr`, `momentum` and `weight_decay` are Python numbers. What comes back are new arrays in the dtype of `weight`:
# nothing is written to.
#
# **The formulas.** They are PyTorch's. g is the gradient with the pull of weight decay, which is towards 0; v is the
# velocity.
#
# - g = dweight + weight_decay * weight
# - v = momentum * v + g; at the first step, v = g
# - weight = weight - lr * v; with Nesterov's momentum, weight - lr * (g + momentum * v)
#
# The third line takes the v that the second has just made. There is no backward in this lesson: here the gradients end.
#
# **By hand.** The loss `w**2 / 2` is a parabola, its gradient is w. Start at w = 8, with lr 1/2 and momentum 1/2.
#
# | step | w before | g | v           | w after      |
# |------|----------|---|-------------|--------------|
# | 1    | 8        | 8 | 8           | 8 - 8/2 = 4  |
# | 2    | 4        | 4 | 8/2 + 4 = 8 | 4 - 8/2 = 0  |
# | 3    | 0        | 0 | 8/2 + 0 = 4 | 0 - 4/2 = -2 |
#
# At the bottom the gradient is 0, but the velocity is not: it rolls through. Without momentum w would be 4, 2, 1. With
# Nesterov's momentum, which brakes earlier:
#
# | step | w before | g    | v               | g + v/2 | w after                |
# |------|----------|------|-----------------|---------|------------------------|
# | 1    | 8        | 8    | 8               | 12      | 8 - 12/2 = 2           |
# | 2    | 2        | 2    | 8/2 + 2 = 6     | 5       | 2 - 5/2 = -0.5         |
# | 3    | -0.5     | -0.5 | 6/2 - 0.5 = 2.5 | 0.75    | -0.5 - 0.75/2 = -0.875 |
#
# And one first step with weight decay 1/4: g = 8 + 8/4 = 10, v = 10, w = 8 - 10/2 = 3.

# %%
import numpy as np

# %% [markdown]
# ## One step


# %%
def sgd(weight, dweight, velocity, *, lr, momentum=0.9, weight_decay=0.0, nesterov=False):
    """v = momentum * v + g, weight = weight - lr * v, where g = dweight + weight_decay * weight.

    weight, dweight and velocity of one shape, velocity None at first -> weight, velocity: new arrays of that shape.
    With nesterov, weight = weight - lr * (g + momentum * v).
    """
    # TODO: g, v, and the new weight; `weight -= ...` would write into an argument
    ### BEGIN SOLUTION
    g = dweight + weight_decay * weight
    v = g if velocity is None else momentum * velocity + g
    step = g + momentum * v if nesterov else v
    return weight - lr * step, v
    ### END SOLUTION


# %% [markdown] derivation
# Put the second formula into itself, over and over, until no v is left. With m for the momentum, after step t,
#
# `v_t = g_t + m * g_(t-1) + m**2 * g_(t-2) + ... + m**(t-1) * g_1`.
#
# The velocity is a weighted sum of all gradients so far, and the weights fade exponentially. With m = 0.9 a gradient
# counts for half after seven steps, since `0.9**7` is 0.48. That explains the ravine:
#
# - Where all gradients are equal, v grows to `g * (1 + m + m**2 + ...)` = g / (1 - m). The effective step is
#   lr / (1 - m), ten times lr for m = 0.9. So a plain gradient descent that is given momentum wants a smaller lr.
# - Where each gradient is the opposite of the one before, v tends to `g * (1 - m + m**2 - ...)` = g / (1 + m), about
#   half of g.
#
# At the first step nothing has been summed up, so v = g, which is also what the formula gives for a v of 0.
#
# Nesterov's variant applies the rule for v once more, to the same g: it steps by the velocity that would come next if
# the gradient stayed as it is. And weight decay is the gradient of one more term in the loss: weight_decay / 2 times
# the sum of all squared weights.

# %% [markdown] hints
# 1. A ball rolls down the loss. The gradient does not say where the ball goes, it changes its velocity; the velocity
#    moves it. First the velocity, then the weight.
# 2. Three lines, one for each formula, and two cases to tell apart: is velocity None, and is nesterov true? The
#    velocity that is returned is the new v, with nesterov as well, and also with momentum 0.
# 3. All arrays have one shape, so everything happens element by element. `momentum * velocity + g` makes a new array;
#    `velocity *= momentum` changes the caller's. Where velocity is None, g has to be an array of its own, not dweight.

# %%
if __name__ == "__main__":  # the example by hand: run this file

    def walk(w, gradient, steps, **options):
        path, v = [], None
        for _ in range(steps):
            w, v = sgd(w, gradient(w), v, **options)
            path.append(w)
        return np.array(path)

    start, half = np.array([8.0]), {"lr": 1 / 2, "momentum": 1 / 2}
    np.testing.assert_allclose(walk(start, np.copy, 3, **half), [[4], [0], [-2]])
    np.testing.assert_allclose(walk(start, np.copy, 3, lr=1 / 2, momentum=0), [[4], [2], [1]])
    np.testing.assert_allclose(walk(start, np.copy, 3, **half, nesterov=True), [[2], [-0.5], [-0.875]])
    w, v = sgd(start, start, None, **half, weight_decay=1 / 4)
    np.testing.assert_allclose([w, v], [[3], [10]])
    np.testing.assert_allclose(start, [8])

    # a ravine, a hundred times steeper across than along: after 100 steps, how far is it still to the bottom?
    steepness = np.array([1.0, 100])
    plain, heavy = (
        np.linalg.norm(walk(np.array([10.0, 1]), lambda w: steepness * w, 100, lr=0.01, momentum=momentum)[-1])
        for momentum in (0, 0.9)
    )
    assert plain > 3 and heavy < 0.3
    print(f"the example by hand agrees; in the ravine {plain:.2f} are left without momentum, {heavy:.2f} with it")
