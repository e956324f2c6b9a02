# %% [markdown]
# # 11. Making it fast
#
# **Question:** a convolution in plain Python, in NumPy, and in this package does the same multiplications. Why is one
# thousands of times faster than another, and how fast could it be at all?
#
# Six steps lead from the loops of chapter 2 to the code that runs here. Each is timed on your machine as you read. The
# prose gives no times: they say more about a machine than about a program. At the end all steps stand in one picture,
# under the two limits that no program passes.

# %%
import inspect
import statistics
import time

import numba
import numpy as np

import numpy_resnet
from numpy_resnet import models, ops, plots, reference
from numpy_resnet.kernels import elementwise, winograd
from numpy_resnet.kernels.matmul import matmul
from numpy_resnet.layout import channels_first, channels_last

rng = np.random.default_rng(0)
threads = numpy_resnet.get_num_threads()
table = []  # what was gained, step by step


def timed(contenders, rounds=9, of=statistics.median):
    """Median seconds of each function. They take turns, so that a busy moment of the machine hits all of them."""
    seconds = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: of(values[1:]) for name, values in seconds.items()}  # the first call may compile


def compare(step, contenders, rounds=9):
    """Time them, and say how many times as fast as the first each is; first and last go into the table."""
    seconds = timed(contenders, rounds)
    names = list(seconds)
    gain = {name: seconds[names[0]] / seconds[name] for name in names}
    for name in names:
        print(f"{name:<36} {1e3 * seconds[name]:9.3f} ms {gain[name]:9.2f} x")
    table.append((step, names[0], names[-1], gain[names[-1]]))


def images(*shape):
    """Random numbers (N, C, H, W), in channels-last memory."""
    N, C, H, W = shape
    return channels_first(rng.standard_normal((N, H, W, C), dtype=np.float32))


# %% [markdown]
# The median of many turns forgets the odd slow one. (A mean would not; the fastest of all is fair only on a machine
# that does nothing else.)
#
# ## 1. Numbers that are used together lie together
#
# Memory does not come number by number. The processor fetches *lines* of 64 bytes, sixteen float32, into its *cache*, a
# small fast memory close by, and whoever asks for the neighbour next finds it there. It can also multiply several
# neighbours with one instruction, a *vector* (SIMD) instruction.
#
# So it matters what neighbours are. An array of shape (N, C, H, W) may lie in memory in any order; its *strides* say
# how many bytes it is from one index to the next. A small image with 3 channels of 2x4 pixels:

# %%
first = np.arange(24, dtype=np.float32).reshape(1, 3, 2, 4)  # NumPy's own order: the last axis is the nearest
last = channels_first(channels_last(first))  # copied once, and seen as (N, C, H, W) again
print("shape", first.shape, "and", last.shape, "  equal:", np.array_equal(first, last))
print("strides", first.strides, "and", last.strides)

figure = plots.page(10, 2.2)
colors = np.array([plots.VERMILLION, plots.GREEN, plots.BLUE])
for axes, array, name in zip(figure.subplots(2, 1), (first, last), ("channels first", "channels last"), strict=True):
    memory = array.ravel(order="K").astype(int)[None]  # (1, 24), as it lies there
    plots.cells(axes, memory, colors=colors[memory // 8], title=f"{name}: the 24 numbers as they lie in memory")
figure

# %% [markdown]
# By hand, for `last`: from one channel to the next 4 bytes, one float32. From one pixel to its right neighbour 3
# channels, 12 bytes. One row down 4 pixels, 48 bytes. That is *channels-last* memory. All arrays here lie like this,
# and `numpy_resnet/layout.py` alone knows it: everybody else speaks of (N, C, H, W).
#
# Why channels? A convolution, batch norm, a sum over pixels: all do something for each channel and the same for all
# pixels. The loop over channels is the innermost, has no borders, and 64 or 512 rounds. Here is a small loop, twice,
# with a factor for each channel. Only the order differs:


# %%
def channels_inside(x, factor, y):
    for p in range(x.shape[0]):
        for c in range(x.shape[1]):
            y[p, c] = x[p, c] * factor[c]


def pixels_inside(x, factor, y):
    for c in range(x.shape[1]):
        for p in range(x.shape[0]):
            y[p, c] = x[p, c] * factor[c]


x = rng.standard_normal((8 * 56 * 56, 64), dtype=np.float32)  # pixels, channels
factor, y = rng.standard_normal(64, dtype=np.float32), np.empty_like(x)
compiled = {function.__name__: numba.njit(function) for function in (pixels_inside, channels_inside)}
compare("loop over channels inside", {k: lambda f=f: f(x, factor, y) for k, f in compiled.items()})

# %% [markdown]
# With pixels inside, the loop takes 4 bytes of a line and steps over the next 252. When it comes back for the next
# channel, the line has long left the cache.
#
# ## 2. Compiled loops
#
# `numba.njit` above made machine code of these functions (Lam, Pitrou & Seibert 2015). Uncompiled, they run as well.
# What is the price of that?

# %%
small = x[:500], factor, y[:500]
as_it_is = {"Python": lambda: channels_inside(*small), "compiled": lambda: compiled["channels_inside"](*small)}
compare("Numba", as_it_is, rounds=3)

# %% [markdown]
# In each round Python looks up what `*` means for these two objects, makes a new object for the product, and finds the
# place it belongs to. The compiler does all of that once, for the types of the first call. NumPy avoids the price in
# another way: its functions are loops in C. But each of them is one pass over memory.
#
# Every kernel of this package is a plain Python function of this kind. It can be read, and with the environment
# variable `NUMBA_DISABLE_JIT=1` stepped through in a debugger. This is ReLU, and here Python itself runs it:

# %%
print(inspect.getsource(elementwise.relu))
values, result = np.linspace(-1, 1, 5, dtype=np.float32), np.empty(5, np.float32)
elementwise.relu.__wrapped__(0, 1, values, result)  # part 0 of 1, not compiled
print(values, "->", result)
np.testing.assert_array_equal(result, ops.relu(values.reshape(1, 1, 1, 5))[0].ravel())

# %% [markdown]
# ## 3. Blocks that fit the cache
#
# Compiling is not enough. A matrix product of n x n makes 2n³ operations with 3n² numbers, so each number is needed n
# times. Three compiled loops with the columns inside fetch rows of b from memory or a large, slow cache again and
# again. Goto & van de Geijn 2008 cut the matrices into *blocks* that fit the small, fast caches, and use a block as
# often as possible before it has to go. `kernels/matmul.py` copies panels of b side by side for that, and sums a small
# tile of y in the processor's registers, where nothing has to be fetched at all. Both with one thread:


# %%
@numba.njit(fastmath={"contract"})
def three_loops(a, b, y):
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            for j in range(b.shape[1]):
                y[i, j] += a[i, k] * b[k, j]


def with_threads(n, run):
    numpy_resnet.set_num_threads(n)
    result = run()
    numpy_resnet.set_num_threads(threads)
    return result


square = rng.standard_normal((768, 768), dtype=np.float32)
sums = np.zeros_like(square)
loops = {"three loops": lambda: three_loops(square, square, sums)}
compare(
    "matrix product in blocks", loops | {"matmul": lambda: with_threads(1, lambda: matmul(square, square))}, rounds=5
)
np.testing.assert_allclose(matmul(square, square), square @ square, atol=1e-3)

# %% [markdown]
# The same idea serves a convolution. im2col makes a matrix of all windows, nine times as large as x for 3x3 filters
# (chapter 2). But nobody needs all of it at once. So `ops/conv/im2col.py` goes through the batch in blocks: it lays out
# the windows of some images, multiplies, and takes the same memory for the next. `BLOCK` says how many numbers a block
# may have. From the whole batch down to one image:

# %%
im2col = ops.conv.ALGORITHMS["im2col"]
x, weight = images(32, 64, 28, 28), images(64, 64, 3, 3)
one, usual = 28 * 28 * 9 * 64, im2col.BLOCK  # numbers in the windows of one image, and in a block


def with_blocks(count):
    im2col.BLOCK = count * one
    y, _ = im2col.conv2d(x, weight, padding=1)
    im2col.BLOCK = usual
    return y


sizes = (32, 8, usual // one, 1)  # the third is what the package does
seconds = timed({n: lambda n=n: with_blocks(n) for n in sizes})
for n in sizes:
    print(f"{n:2} images at once, windows {n * one * 4 / 1e6:5.1f} MB: {1e3 * seconds[n]:6.1f} ms")
    np.testing.assert_array_equal(with_blocks(n), with_blocks(32))  # not a bit differs

# %% [markdown]
# The windows of a block take a sixteenth of the memory. Whether it is faster, too, depends on the machine: a large last
# cache may hold the whole batch's windows, and then blocks only cost a start of the threads each.
#
# ## 4. One pool of threads
#
# A processor has several cores. A library that wants them all starts a *thread* for each and hands out parts. NumPy's
# matrix product (from a library called BLAS) has such a pool, and Numba has another. Between two pieces of work a
# pool's threads wait actively for a while, they *spin*, since waking up takes time. Two pools take the cores from each
# other: one still spins while the other wants to work. So this package has a matrix product of its own, in Numba, and
# one pool.

# %%
a, b = rng.standard_normal((6272, 576), dtype=np.float32), rng.standard_normal((576, 256), dtype=np.float32)
before = images(32, 64, 28, 28)
pools = {
    "ReLU, then NumPy's @ (two pools)": lambda: (ops.relu(before), a @ b),
    "ReLU, then matmul (one pool)": lambda: (ops.relu(before), matmul(a, b)),
}
for name, value in timed(pools).items():
    print(f"{name:<36} {1e3 * value:9.3f} ms")

# %% [markdown]
# Either may win: how long idle threads spin differs between libraries and machines, and BLAS by itself may be the
# faster of the two products. The other reason for a product of one's own does not depend on that. Rounding depends on
# the order in which numbers are added, and with it the last bits. Here each number of y is summed by one thread, in one
# order, however many threads there are. A training run gives the same weights with one core and with sixty-four. And
# this is what they are for:

# %%
product = {f"{n} thread(s)": lambda n=n: with_threads(n, lambda: matmul(a, b)) for n in sorted({1, threads})}
compare("threads", product)
np.testing.assert_array_equal(with_threads(1, lambda: matmul(a, b)), matmul(a, b))  # not a bit differs

# %% [markdown]
# ## 5. Fewer multiplications: Winograd
#
# So far everything did the same arithmetic faster. Now less arithmetic. Take one dimension, a filter g of three taps,
# and two neighbouring outputs, from four inputs d:
#
# $$ y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2, \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2 $$
#
# Six multiplications. Winograd 1980 found that four are enough:
#
# $$ m_0 = (d_0 - d_2)\, g_0, \quad m_1 = (d_1 + d_2)\, \tfrac{g_0 + g_1 + g_2}{2}, \quad m_2 = (d_2 - d_1)\,
# \tfrac{g_0 - g_1 + g_2}{2}, \quad m_3 = (d_1 - d_3)\, g_2 $$
#
# $$ y_0 = m_0 + m_1 + m_2, \qquad y_1 = m_1 - m_2 - m_3 $$
#
# To see it, multiply out: $m_1 + m_2 = d_1 g_1 + d_2 (g_0 + g_2)$, and $m_0$ takes $d_2 g_0$ off again and brings
# $d_0 g_0$. What is left is $y_0$. For $y_1$ alike, with $m_1 - m_2 = d_1 (g_0 + g_2) + d_2 g_1$.
#
# Every line of it is linear, so it can be written with three small matrices, * being number by number:
#
# $$ y = A^T \big[ (G g) * (B^T d) \big] $$

# %%
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
BT = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
AT = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])
d, g = np.array([1.0, 2, 3, 4]), np.array([2.0, 4, 6])

print("G g  =", G @ g)
print("BT d =", BT @ d)
m = (G @ g) * (BT @ d)
print("m    =", m)
y = AT @ m
print("y    =", y, "  directly:", np.correlate(d, g))
np.testing.assert_array_equal(y, np.correlate(d, g))

# %% [markdown]
# By hand: m is 2·(-2), 6·5, 2·1, 6·(-2) = -4, 30, 2, -12. So y is -4 + 30 + 2 = 28 and 30 - 2 + 12 = 40. Directly: 1·2
# + 2·4 + 3·6 = 28.
#
# The additions do not count? They are more than before. But G g is made once for all places of the image, and BT d once
# for all filters. Only the product in the middle has to be made for each pair of an input channel and an output
# channel. And since the sum over input channels goes on between the values, before AT, that product is a matrix product
# again.
#
# ### Backward
#
# For a matrix, backward of y = A x is dx = Aᵀ dy (chapter 2). For a product number by number, dm goes to each factor,
# times the other one. Reverse the line, step by step:
#
# $$ dm = A\, dy, \qquad dg = G^T \big[ (A\, dy) * (B^T d) \big], \qquad dd = B \big[ (A\, dy) * (G g) \big] $$
#
# Nothing new is needed: the same three matrices, transposed. And directly, for dy = (1, 2): g_0 met d_0 and d_1, so
# dg_0 = 1·1 + 2·2 = 5.

# %%
dy = np.array([1.0, 2.0])
dm = AT.T @ dy
dg, dd = G.T @ (dm * (BT @ d)), BT.T @ (dm * (G @ g))
print("dm =", dm, "  dg =", dg, "  dd =", dd)
np.testing.assert_allclose(dg, np.correlate(d, dy))  # dy slides over d
np.testing.assert_allclose(dd, np.convolve(dy, g))  # and the turned filter over dy

# %% [markdown]
# ### Four outputs, and two dimensions
#
# The package takes four outputs from six inputs, F(4, 3): six multiplications in place of twelve. In two dimensions
# each map goes over the columns of a tile of 6x6 pixels, then over its rows (Lavin & Gray 2016). 6·6 = 36 products make
# 4x4 outputs; directly these are 16·9 = 144. **A quarter.** The maps are functions in `kernels/winograd.py`. Of a
# linear map the matrix is what it makes of unit vectors, so we can read it off:


# %%
def matrix_of(linear_map, inputs):
    return np.array(getattr(linear_map, "py_func", linear_map)(np.eye(inputs)))


BT6, G6, AT6 = (
    matrix_of(winograd.input_values, 6),
    matrix_of(winograd.filter_values, 3),
    matrix_of(winograd.output_pixels, 6),
)
print(np.array2string(AT6, precision=3, suppress_small=True))
np.testing.assert_allclose(matrix_of(winograd.filter_gradient, 6), G6.T)  # what backward uses are the transposes
np.testing.assert_allclose(matrix_of(winograd.upstream_values, 4), AT6.T)

d, g, dy = rng.standard_normal(6), rng.standard_normal(3), rng.standard_normal(4)
np.testing.assert_allclose(AT6 @ ((G6 @ g) * (BT6 @ d)), np.correlate(d, g))
np.testing.assert_allclose(G6.T @ ((AT6.T @ dy) * (BT6 @ d)), np.correlate(d, dy))
tile, filter = rng.standard_normal((6, 6)), rng.standard_normal((3, 3))
pixels = AT6 @ ((G6 @ filter @ G6.T) * (BT6 @ tile @ BT6.T)) @ AT6.T
np.testing.assert_allclose(pixels, reference.conv2d(tile[None, None], filter[None, None])[0, 0])
print(f"products: {BT6.shape[0] ** 2} instead of {pixels.size * filter.size}")

# %% [markdown]
# Now the real thing, a convolution of the first stage of ResNet-18 (He et al. 2015, table 1), for four images, forward
# and backward. The definition in plain Python would need minutes for it. So it gets a tiny one.

# %%
N, C, OC, H, W = 4, 64, 64, 56, 56
x, weight = images(N, C, H, W), images(OC, C, 3, 3) / np.float32(24)
algorithms = {name: ops.conv.ALGORITHMS[name] for name in ("im2col", "winograd")}
exact, exact_cache = algorithms["im2col"].conv2d(x.astype(float), weight.astype(float), padding=1)
dy = images(N, OC, H, W)
exact_gradients = algorithms["im2col"].conv2d_backward(dy.astype(float), exact_cache)
right = {"y": exact, "dx": exact_gradients[0], "dweight": exact_gradients[1]}
caches = {}
for name, algorithm in algorithms.items():
    y, caches[name] = algorithm.conv2d(x, weight, padding=1)
    dx, dweight, _ = algorithm.conv2d_backward(dy, caches[name])
    print(f"{name:<9} largest error, in units of the largest value: ", end="")
    for what, got in {"y": y, "dx": dx, "dweight": dweight}.items():
        error = np.abs(got - right[what]).max() / np.abs(right[what]).max()
        print(f"{what} {error:.1e}", end="\n" if what == "dweight" else ", ")
        assert error < 1e-4

tiny, tiny_weight = x[:1, :4, :6, :6], weight[:4, :4]
for algorithm in ops.conv.ALGORITHMS.values():
    got = algorithm.conv2d(tiny, tiny_weight, padding=1)[0]
    np.testing.assert_allclose(got, reference.conv2d(tiny, tiny_weight, padding=1), atol=1e-4)

# %% [markdown]
# The price is rounding. The maps add and subtract numbers of different sizes, and more digits are lost than in a plain
# sum, though these are still millionths. Larger tiles would need still fewer products and lose more. Which points the
# maps are made of matters, too: the file has the source of its choice (Barabasz et al. 2020).

# %%
numpy_weight = np.ascontiguousarray(weight.transpose(1, 2, 3, 0)).reshape(C * 9, OC)


def numpy_im2col():
    """The convolution in plain NumPy: windows, a copy of them as rows, one product."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))  # (N, C, H, W, 3, 3)
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(N * H * W, C * 9) @ numpy_weight


np.testing.assert_allclose(numpy_im2col().reshape(N, H, W, OC).transpose(0, 3, 1, 2), exact, atol=1e-4)
forward = {"NumPy im2col": numpy_im2col}
forward |= {name: lambda a=a: a.conv2d(x, weight, padding=1) for name, a in algorithms.items()}
compare("convolution", forward, rounds=7)
both = {name: lambda a=a, cache=caches[name]: a.conv2d_backward(dy, cache) for name, a in algorithms.items()}
compare("convolution, backward", both, rounds=5)

# %% [markdown]
# Not four times, since the maps take their time as well, and the product in the middle is a smaller one.
# `ops.conv.pick` is the rule that chooses by the shapes; small or odd maps go by im2col.
#
# ## 6. Fewer passes
#
# Batch norm and ReLU compute next to nothing for each number. Their time is that of fetching it. So do both while the
# number is at hand: `ops/fused.py`. In inference batch norm is a factor and a summand for each channel (chapter 4).
# Both can be folded into the filters and the bias of the convolution before it, and it disappears:
# `model.compile_inference()`.

# %%
h, ones, zeros = images(32, 64, 56, 56), np.ones(64, np.float32), np.zeros(64, np.float32)


def one_after_the_other():
    return ops.relu(ops.batchnorm2d(h, ones, zeros)[0])[0]


def fused():
    return ops.batchnorm2d_relu(h, ones, zeros)[0]


np.testing.assert_allclose(fused(), one_after_the_other(), atol=1e-5)
compare("batch norm and ReLU", {"one after the other": one_after_the_other, "fused": fused})

model = models.cifar_resnet20()
folded, photos = model.compile_inference(), images(32, 3, 32, 32)
np.testing.assert_allclose(folded.forward(photos), model.infer(photos), atol=1e-4)
compare("inference", {"model.infer": lambda: model.infer(photos), "folded": lambda: folded.forward(photos)})

# %% [markdown]
# ## All steps

# %%
print(f"{'':<27} {'before':<24} {'after':<24} times as fast")
for step, before, after, gain in table:
    print(f"{step:<27} {before:<24} {after:<24} {gain:8.1f}")

# %% [markdown]
# (On a machine that does other things at the same time, these wander. Run it again.)
#
# ## How fast could it be? The roofline
#
# A processor can do two things at once: compute, and fetch numbers from memory. Each has a highest rate. P is the most
# floating-point operations in a second (FLOP/s; a multiplication and an addition are two). B is the most bytes in a
# second from memory. A piece of work that needs F operations and Q bytes takes at least F/P seconds to compute and at
# least Q/B to fetch. Both can overlap, but the longer of the two must pass. So its rate is at most
#
# $$ \frac{F}{\max(F/P,\ Q/B)} = \min\Big(P,\ \frac{F}{Q}\, B\Big) $$
#
# F/Q, operations for each byte, is the work's *arithmetic intensity*. With little of it a program can only be as fast
# as memory, with much of it as fast as the arithmetic. Drawn over the intensity, the limit is a slope with a flat top:
# a *roofline* (Williams, Waterman & Patterson 2009).
#
# By hand: ReLU reads 4 bytes and writes 4, for one comparison: 1/8 FLOP/byte. Our convolution makes N·H·W·OC·C·9
# multiply-adds, each two operations, and has to move x, weight and y once:

# %%
conv_flops = 2 * N * H * W * OC * C * 9
conv_bytes = 4 * (N * H * W * (C + OC) + OC * C * 9)
million, megabytes = conv_flops / 1e6, conv_bytes / 1e6
print(f"convolution: {million:,.0f} million operations, {megabytes:.1f} MB: {million / megabytes:.0f} FLOP/byte")

# %% [markdown]
# More than a thousand times as intense as ReLU. And the two rates of this machine? P by the fastest matrix product at
# hand, ours or NumPy's, of matrices that fit the cache. B by a copy of arrays that do not, by all threads (a byte that
# is read and one that is written are two). For limits not the median counts but the fastest turn.


# %%
@numba.njit(parallel=True)
def copy(source, target):
    for i in numba.prange(source.size):
        target[i] = source[i]


source, target = np.zeros((2, 2**24), np.float32)  # 64 MB each
other = images(*h.shape)
x, weight = images(N, C, H, W), images(OC, C, 3, 3)
work = {
    "ReLU": lambda: ops.relu(h),
    "add": lambda: ops.add(h, other),
    "batch norm": lambda: ops.batchnorm2d(h, ones, zeros),
    "plain Python": lambda: ops.conv.ALGORITHMS["naive"].conv2d(tiny, tiny_weight, padding=1),
    **forward,
}
products = {"matmul": lambda: matmul(square, square), "@": lambda: square @ square}
best = timed(products, rounds=30, of=min) | timed({"copy": lambda: copy(source, target)}, of=min)
best |= timed(work, rounds=15, of=min)
peak, bandwidth = 2 * 768**3 / min(best["matmul"], best["@"]), 2 * source.nbytes / best["copy"]
print(f"P = {peak / 1e9:.0f} GFLOP/s, B = {bandwidth / 1e9:.0f} GB/s; they meet at {peak / bandwidth:.1f} FLOP/byte")

# %% [markdown]
# For each op its own operations and bytes: an add reads 8 and writes 4 for one operation. Batch norm reads x once for
# mean and variance and once to normalise, and writes y: 12 bytes, for seven operations (kernels/batchnorm.py). Plain
# Python was measured on its tiny convolution and stands at the place of the large one.

# %%
intense = conv_flops / conv_bytes
places = {"ReLU": (1, 8), "add": (1, 12), "batch norm": (7, 12)}  # operations and bytes for each number
points = {name: (flops / size, flops * h.size / best[name]) for name, (flops, size) in places.items()}
points |= {name: (intense, conv_flops / best[name]) for name in forward}
points["plain Python"] = (intense, 2 * 4 * 4 * 9 * 6 * 6 / best["plain Python"])

figure = plots.page(9, 5.4)
axes = figure.subplots()
at = np.geomspace(0.03, 3000, 200)
axes.loglog(at, np.minimum(peak, at * bandwidth) / 1e9, color=plots.INK, lw=2.5)
axes.axvspan(0.03, peak / bandwidth, color=plots.QUIET, alpha=0.08, lw=0)
for left, limit in ((0.036, "memory"), (1.2 * peak / bandwidth, "arithmetic")):
    axes.text(left, 4 * peak / 1e9, f"{limit} is the limit", fontsize=12, color=plots.QUIET)
for name, (at, rate) in points.items():
    color = plots.BLUE if name in places else plots.VERMILLION
    axes.plot(at, rate / 1e9, "o", color=color, ms=9)
    side, offset = {"add": ("center", (0, -17)), "ReLU": ("left", (8, -15)), "NumPy im2col": ("right", (-12, 0))}.get(
        name, ("left", (12, 0))
    )
    where = {"xytext": offset, "textcoords": "offset points", "ha": side, "va": "center"}
    axes.annotate(name, (at, rate / 1e9), color=color, fontsize=12, **where)
axes.set_title("The roof of this machine, and how near to it each op comes", loc="left", fontsize=13)
axes.set_xlabel("arithmetic intensity, FLOP/byte", fontsize=12)
axes.set_ylabel("GFLOP/s", fontsize=12)
axes.set(xlim=(0.03, 3000), ylim=(None, 8 * peak / 1e9))
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# From left to right:
#
# - **ReLU, add, batch norm** stand under the slope. To make one of them faster as it is would be no use: memory cannot
#   bring more. What helps is not to go there, which is what fusing does: it moves a point to the right. (Batch norm is
#   lower, since it sums in double precision. If a point stands above the slope, a large cache held part of its array.)
# - **Convolution** stands far to the right, under the flat part. Here arithmetic counts, and everything between plain
#   Python and the roof is a matter of how well the units that multiply are kept busy: neighbours in memory, vectors,
#   caches, cores.
# - **Winograd** is counted with the operations of a direct convolution. So it may pass the roof. It does not compute
#   faster than the machine can. It computes less.
#
# Speed is a claim about a machine, a size, and somebody to compare with. `benchmarks/README.md` has the figures beside
# PyTorch and others, in one run each, and `make bench` measures them where you are.
#
# **Predict, then run:**
#
# 1. The small image of step 1 gets 8 channels instead of 3. What are its strides, channels-last?
# 2. A 1x1 convolution with 64 input and 64 output channels has a ninth of the operations of the 3x3 one. Is its
#    intensity a ninth?
# 3. F(2, 3) in two dimensions: how many products for a tile of 2x2 outputs, and how many directly?
# 4. With g = (0, 1, 0), what are G g and y, for any d?
#
# <details><summary>Answers</summary>
#
# 1. (256, 4, 128, 32): 4 bytes for a channel, 8 · 4 = 32 to the next pixel, 4 · 32 to the next row, and 2 · 128 for an
#    image.
# 2. A little more: x and y are as large as before, and the filters smaller. 64·64·2 / (4 · 128) = 16 operations for
#    each byte of x and y, against 144.
# 3. 4 · 4 = 16 instead of 4 · 9 = 36, so 2.25 times fewer.
# 4. G g = (0, 1/2, -1/2, 0), and y = (d_1, d_2): the filter copies the middle. ((d_1 + d_2) / 2 - (d_2 - d_1) / 2 =
#    d_1.)
#
# </details>

# %% [markdown]
# ## Now you
#
# ```
# numpy-resnet exercises start mine --only make_it_fast
# ```
#
# - `make_it_fast`: the two sums of batch norm's backward in one pass over memory, on all cores, and with the same bits
#   whatever their number. The check measures it beside NumPy.
#
# **Next:** [Other people's weights](12_other_peoples_weights.py): what somebody else's computer has learned, in this
# network.
