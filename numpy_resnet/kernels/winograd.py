"""Winograd's minimal filtering F(4x4, 3x3): 36 products where a direct convolution of 4x4 pixels takes 144.

In one dimension, four outputs of a filter of three taps over six inputs: two polynomials are multiplied by their
values at six points (0, +-P, +-Q and infinity) instead of by their coefficients. Each step is a small linear map,

    y = AT [(G g) * (BT d)]     d (6,) input, g (3,) filter, y (4,) output, * number by number

and in two dimensions each map goes over the columns of a tile, then over its rows. Sums over channels happen among the
values, so * becomes one matrix product at each of the 6x6 points. The backward of a linear map is its transpose:

    dg = GT [(A dy) * (BT d)]

Winograd 1980; Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks". The points lose four times less
than the usual 0, +-1, +-2 (Barabasz et al. 2020, "Error Analysis and Improving the Accuracy of Winograd Convolution").

Images are (N, H, W, C), filters (OC, 3, 3, C). The kernels want whole vectors: other channels are filled up with zeros.
"""

import numpy as np

from numpy_resnet.kernels.elementwise import finish, finishing
from numpy_resnet.kernels.jit import jit
from numpy_resnet.kernels.memory import empty, registers
from numpy_resnet.kernels.share import parallel_jit, share
from numpy_resnet.kernels.threads import get_num_threads
from numpy_resnet.kernels.vectors import COLUMNS, LANES, ROWS, add_tile, load_line, store_line

PP, QQ = 0.5, 2.0  # squares of the points P and Q
P, Q = PP**0.5, QQ**0.5
P_SCALE, Q_SCALE = 0.5 / (PP * (PP - QQ)), 0.5 / (QQ * (QQ - PP))
TILE, WINDOW, POINTS = 4, 6, 36  # pixels of the output, of the input, and values of either
BLOCK, CHUNK = 24, 96  # tiles at a time, forward and in the filters' gradient
WIDE = 48  # channels of a panel of inputs in the gradient; whole tiles of ROWS, whole vectors


def filters(weight, *, turned=False):
    """The values of all filters, weight (OC, 3, 3, C), as `convolve` takes them; turned, for dx."""
    OC, _, _, C = weight.shape
    depth, columns = (OC, C) if turned else (C, OC)
    u = empty((-(-columns // COLUMNS), POINTS, _whole(depth, LANES) + 1, COLUMNS), weight.dtype)
    lay_out_filters(weight.reshape(OC, 9, C), u, turned)
    return u


def convolve(x, u, padding, shape, *, bias=None, shortcut=None, relu=False):
    """x (N, H, W, C) convolved with the filters that became u -> y (N, *shape), shape (OH, OW, OC).

    y + bias (OC,) + shortcut (as y), then ReLU, if they are given.
    """
    (OH, OW, OC), x, panels, workers = shape, _fill_up(x), len(u), get_num_threads()
    if OC % LANES:
        bias, shortcut = (None if more is None else _fill_up(more) for more in (bias, shortcut))
    total = len(x) * -(-OH // TILE) * -(-OW // TILE)
    groups = min(workers, panels) if total < BLOCK * workers else 1  # few tiles: the threads share the filters instead
    tiles = _whole(-(-total // max(1, round(total / BLOCK / workers) * workers)), ROWS)
    C = x.shape[3]
    size = POINTS * (tiles * (C + panels * COLUMNS) + 2 * LANES + max(C, OC))
    y = empty((len(x), OH, OW, _whole(OC, LANES)), x.dtype)
    end = finishing(x.dtype, y.shape[3], bias, shortcut, relu)
    convolve_tiles(x, u, y, *padding, tiles, groups, empty((workers, size), x.dtype), *end)
    return y if y.shape[3] == OC else np.ascontiguousarray(y[..., :OC])


def correlate(x, dy, padding):
    """dweight (OC, 3, 3, C) of x (N, H, W, C) and dy (N, OH, OW, OC)."""
    C, OC = x.shape[3], dy.shape[3]
    x, dy = _fill_up(x), _fill_up(dy)
    wides, panels, dtype = -(-C // WIDE), -(-OC // COLUMNS), x.dtype
    du = empty((wides, panels, POINTS, WIDE, COLUMNS), dtype)
    v = empty((POINTS, wides * CHUNK + 1, WIDE), dtype)
    d = empty((POINTS, panels * CHUNK + 1, COLUMNS), dtype)
    patches = empty((get_num_threads(), POINTS * max(x.shape[3], dy.shape[3])), dtype)
    chunks = -(-len(dy) * -(-dy.shape[1] // TILE) * -(-dy.shape[2] // TILE) // CHUNK)
    correlate_tiles(x, dy, du, *padding, CHUNK, v, d, patches, rounds=2 * chunks)
    dweight = empty((OC, 3, 3, C), dtype)
    collect_filters(du, dweight.reshape(OC, 9, C))
    return dweight


def _whole(size, unit):
    return -(-size // unit) * unit


def _fill_up(x):
    """x, with channels of zeros up to a whole number of vectors."""
    more = -x.shape[-1] % LANES
    return np.pad(x, ((0, 0),) * (x.ndim - 1) + ((0, more),)) if more else x


@jit
def input_values(d):
    """BT d, each row the product of (x - point) over all points but its own."""
    d0, d1, d2, d3, d4, d5 = d
    p_even, p_odd = d4 - QQ * d2, P * (d3 - QQ * d1)
    q_even, q_odd = d4 - PP * d2, Q * (d3 - PP * d1)
    first, last = PP * QQ * d0 - (PP + QQ) * d2 + d4, PP * QQ * d1 - (PP + QQ) * d3 + d5
    return first, p_even + p_odd, p_even - p_odd, q_even + q_odd, q_even - q_odd, last


@jit
def filter_values(g):
    """G g: the filter's polynomial at each point, over the product of the point's distances to the others."""
    g0, g1, g2 = g
    p_even, p_odd = P_SCALE * (g0 + PP * g2), P_SCALE * P * g1
    q_even, q_odd = Q_SCALE * (g0 + QQ * g2), Q_SCALE * Q * g1
    return 1 / (PP * QQ) * g0, p_even + p_odd, p_even - p_odd, q_even + q_odd, q_even - q_odd, g2


@jit
def filter_gradient(u):
    """GT u, the transpose of filter_values."""
    u0, u1, u2, u3, u4, u5 = u
    p_even, p_odd = P_SCALE * (u1 + u2), P_SCALE * P * (u1 - u2)
    q_even, q_odd = Q_SCALE * (u3 + u4), Q_SCALE * Q * (u3 - u4)
    return 1 / (PP * QQ) * u0 + p_even + q_even, p_odd + q_odd, PP * p_even + QQ * q_even + u5


@jit
def output_pixels(m):
    """AT m: the powers of the points."""
    m0, m1, m2, m3, m4, m5 = m
    p_even, p_odd, q_even, q_odd = m1 + m2, P * (m1 - m2), m3 + m4, Q * (m3 - m4)
    return m0 + p_even + q_even, p_odd + q_odd, PP * p_even + QQ * q_even, PP * p_odd + QQ * q_odd + m5


@jit
def upstream_values(d):
    """A dy, the transpose of output_pixels."""
    d0, d1, d2, d3 = d
    p_even, p_odd = d0 + PP * d2, P * (d1 + PP * d3)
    q_even, q_odd = d0 + QQ * d2, Q * (d1 + QQ * d3)
    return d0, p_even + p_odd, p_even - p_odd, q_even + q_odd, q_even - q_odd, d3


def over_tile(f, inputs, outputs):
    """The two-dimensional map of f: over the columns of a tile inputs x inputs, then over its rows.

    Source and target are places in arrays, and how far apart the rows and the columns lie there.
    """
    size = outputs * inputs

    @jit
    def transform(source, at, row, column, target, to, to_row, to_column):
        half = registers(source, size, LANES)
        for j in range(inputs):
            store_line(half, j * LANES, inputs * LANES, f(load_line(source, at + j * column, row, inputs)))
        for i in range(outputs):
            line = load_line(half, i * inputs * LANES, LANES, inputs)
            store_line(target, to + i * to_row, to_column, f(line))

    return transform


transform_input = over_tile(input_values, WINDOW, WINDOW)
transform_filter = over_tile(filter_values, 3, WINDOW)
transform_filter_gradient = over_tile(filter_gradient, WINDOW, 3)
transform_output = over_tile(output_pixels, WINDOW, TILE)
transform_upstream = over_tile(upstream_values, TILE, WINDOW)


@parallel_jit
def lay_out_filters(part, parts, weight, u, turned):
    """u[panel, point, k, j] = G g G': the filters as right factors of 36 products.   u (panels, 36, K + 1, COLUMNS)

    weight (OC, 9, C): k counts input channels and panel*COLUMNS + j output channels. If `turned`, the other way round,
    and each filter is turned by half a turn: by those filters dx is made of dy. The row K is never used: with it, the
    36 points of one k lie in different sets of the cache.
    """
    OC, _, C = weight.shape
    panels, _, depth, _ = u.shape
    columns, k_step, j_step = (C, 9 * C, 1) if turned else (OC, 1, 9 * C)
    flat, point = weight.reshape(-1), depth * COLUMNS
    for panel in range(*share(panels, part, parts)):
        g = registers(weight, 9, COLUMNS)
        for k in range(depth - 1):
            for tap in range(9):
                start = (8 - tap if turned else tap) * C + k * k_step + panel * COLUMNS * j_step
                for j in range(COLUMNS):
                    inside = panel * COLUMNS + j < columns and k < (OC if turned else C)
                    g[tap, j] = flat[start + j * j_step] if inside else 0
            for j in range(0, COLUMNS, LANES):
                to = panel * POINTS * point + k * COLUMNS + j
                transform_filter(g, j, 3 * COLUMNS, COLUMNS, u, to, WINDOW * point, point)


@jit
def cut_out(x, n, top, left, size, C, patch):
    """patch[i, j] = x[n, top + i, left + j], zero outside of the image, size x size pixels of C channels."""
    H, W = x.shape[1:3]
    for i in range(size):
        for j in range(size):
            h, w = top + i, left + j
            to = (i * size + j) * C
            if h < 0 or h >= H or w < 0 or w >= W:
                patch[to : to + C] = 0
            else:
                pixel = x[n, h, w]
                for c in range(C):
                    patch[to + c] = pixel[c]


@jit
def lay_out_input(x, tile, across, down, PH, PW, patch, v, to, point, width, panel):
    """BT d B of one tile: point (i, j) of channel c goes to v[to + (i*6 + j)*point + c // width*panel + c % width]."""
    _, H, W, C = x.shape
    n, top, left = tile // (down * across), tile // across % down * TILE - PH, tile % across * TILE - PW
    source, at, row = x.reshape(-1), ((n * H + top) * W + left) * C, W * C
    if top < 0 or left < 0 or top + WINDOW > H or left + WINDOW > W:
        cut_out(x, n, top, left, WINDOW, C, patch)
        source, at, row = patch, 0, WINDOW * C
    for c in range(0, C, LANES):
        transform_input(source, at + c, row, C, v, to + c // width * panel + c % width, WINDOW * point, point)


@jit
def lay_out_output(m, at, point, y, tile, across, down, c0, c1, patch, bias, shortcut, floor):
    """y = AT m A of one tile, channels c0 to c1: the inverse journey, as far as y reaches; then `finish`."""
    _, OH, OW, OC = y.shape
    n, top, left = tile // (down * across), tile // across % down * TILE, tile % across * TILE
    start, flat = ((n * OH + top) * OW + left) * OC, y.reshape(-1)
    down, across, target, to, row = min(TILE, OH - top), min(TILE, OW - left), flat, start, OW * OC
    if down < TILE or across < TILE:
        target, to, row = patch, 0, TILE * OC
    for c in range(c0, c1, LANES):
        transform_output(m, at + c, WINDOW * point, point, target, to + c, row, OC)
    if down < TILE or across < TILE:
        for i in range(down):
            for j in range(across):
                for c in range(c0, c1):
                    flat[start + (i * OW + j) * OC + c] = patch[(i * TILE + j) * OC + c]
    finish(flat, start + c0, min(down, bias.size), OW * OC, across, OC, c1 - c0, bias, c0, shortcut, floor)


@parallel_jit
def convolve_tiles(part, parts, x, u, y, PH, PW, tiles, groups, scratch, bias, shortcut, floor):
    """y = x * filters, tile by tile, then `finish`.   x (N, H, W, C), u of lay_out_filters, y (N, OH, OW, OC)

    A task is `tiles` tiles and one of `groups` groups of filters; it goes all the way, so that nothing between leaves
    the cache.   scratch (parts, size)
    """
    N, OH, OW, OC = y.shape
    C, (panels, _, depth, _) = x.shape[3], u.shape
    down, across = (OH + TILE - 1) // TILE, (OW + TILE - 1) // TILE
    total = N * down * across
    blocks, scratch = (total + tiles - 1) // tiles, scratch[max(0, part)]
    v_point, m_point, ahead = tiles * C + LANES, tiles * panels * COLUMNS + LANES, POINTS * depth * COLUMNS
    v, rest = scratch[: POINTS * v_point], scratch[POINTS * v_point :]
    m, patch = rest[: POINTS * m_point], rest[POINTS * m_point :]
    for task in range(*share(blocks * groups, part, parts)):
        group, first = task // blocks, task % blocks * tiles
        count, p0, p1 = min(tiles, total - first), panels * group // groups, panels * (group + 1) // groups
        for t in range(count):
            lay_out_input(x, first + t, across, down, PH, PW, patch, v, t * C, v_point, C, 0)
        for point in range(POINTS):
            for panel in range(p0, p1):
                at = (panel * POINTS + point) * depth * COLUMNS
                for t in range(0, count, ROWS):
                    to = point * m_point + (t * panels + panel) * COLUMNS
                    add_tile(v, point * v_point + t * C, C, 1, u, at, ahead, m, to, panels * COLUMNS, C, False)
        for t in range(count):
            at, tile, c0, c1 = t * panels * COLUMNS, first + t, p0 * COLUMNS, min(OC, p1 * COLUMNS)
            lay_out_output(m, at, m_point, y, tile, across, down, c0, c1, patch, bias, shortcut, floor)


@jit
def lay_out_upstream(dy, tile, across, down, patch, d, to, point, panel):
    """A dy A' of one tile, in panels of COLUMNS channels, `panel` numbers apart."""
    OC = dy.shape[3]
    n, top, left = tile // (down * across), tile // across % down * TILE, tile % across * TILE
    cut_out(dy, n, top, left, TILE, OC, patch)
    for c in range(0, OC, LANES):
        place = to + c // COLUMNS * panel + c % COLUMNS
        transform_upstream(patch, c, TILE * OC, OC, d, place, WINDOW * point, point)


@parallel_jit
def correlate_tiles(part, parts, x, dy, du, PH, PW, tiles, v, d, patches):
    """du[point, c, oc] = the sum over all tiles of (BT d B)[point, c] * (A dy A')[point, oc]: 36 products.

    x (N, H, W, C), dy (N, OH, OW, OC); du (wides, panels, 36, WIDE, COLUMNS) holds blocks of WIDE c and COLUMNS oc.
    Two rounds for each `tiles` tiles: they are laid out in v (36, wides*tiles + 1, WIDE) and d (36, panels*tiles + 1,
    COLUMNS), one row more than needed as in lay_out_filters, then multiplied.   patches (parts, size)
    """
    (N, OH, OW, _), C = dy.shape, x.shape[3]
    down, across, panels = (OH + TILE - 1) // TILE, (OW + TILE - 1) // TILE, du.shape[1]
    first, multiplying = part // parts // 2 * tiles, part // parts % 2
    count = min(tiles, N * down * across - first)
    v_point, d_point, patch = v[0].size, d[0].size, patches[part % parts]
    v, d = v.reshape(-1), d.reshape(-1)
    for task in range(*share(POINTS * panels if multiplying else count, part, parts)):
        if multiplying:
            point, panel = task // panels, task % panels
            for c in range(0, C, ROWS):
                v_at = point * v_point + c // WIDE * tiles * WIDE + c % WIDE
                d_at = point * d_point + panel * tiles * COLUMNS
                to = (((c // WIDE * panels + panel) * POINTS + point) * WIDE + c % WIDE) * COLUMNS
                add_tile(v, v_at, 1, WIDE, d, d_at, tiles * COLUMNS, du, to, COLUMNS, count, first > 0)
        else:
            tile, panel = first + task, tiles * WIDE
            lay_out_input(x, tile, across, down, PH, PW, patch, v, task * WIDE, v_point, WIDE, panel)
            lay_out_upstream(dy, tile, across, down, patch, d, task * COLUMNS, d_point, tiles * COLUMNS)


@parallel_jit
def collect_filters(part, parts, du, dweight):
    """dweight (OC, 9, C) = GT du G, du (wides, panels, 36, WIDE, COLUMNS)."""
    OC, _, C = dweight.shape
    panels, flat = du.shape[1], dweight.reshape(-1)
    for block in range(*share(len(du) * panels, part, parts)):
        g, wide, panel = registers(dweight, 9, COLUMNS), block // panels, block % panels
        for c in range(min(WIDE, C - wide * WIDE)):
            for j in range(0, COLUMNS, LANES):
                at, point = (block * POINTS * WIDE + c) * COLUMNS + j, WIDE * COLUMNS
                transform_filter_gradient(du, at, WINDOW * point, point, g, j, 3 * COLUMNS, COLUMNS)
            for tap in range(9):
                for j in range(min(COLUMNS, OC - panel * COLUMNS)):
                    flat[((panel * COLUMNS + j) * 9 + tap) * C + wide * WIDE + c] = g[tap, j]
