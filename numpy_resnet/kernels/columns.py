"""im2col and col2im over channels-last memory.

A row of a window is one run of KW*C numbers, in the image as in the columns, since the channels are innermost.
So images come as (N, H, W*C) and columns as (N, OH, OW, KH, KW*C).
"""

from numpy_resnet.kernels.share import parallel_jit, share


@parallel_jit
def im2col(part, parts, x, cols, C, SH, SW, PH, PW):
    """cols[n, oh, ow, kh, kw*C + c] = x[n, oh*SH - PH + kh, (ow*SW - PW + kw)*C + c], zero outside of the image."""
    H, WC = x.shape[1:]
    N, OH, OW, KH, KWC = cols.shape
    for row in range(*share(N * OH, part, parts)):
        n, oh = row // OH, row % OH
        for ow in range(OW):
            left = (ow * SW - PW) * C  # where the window's first pixel lies; may be outside
            first, last = max(0, -left), max(0, min(KWC, WC - left))
            for kh in range(KH):
                h = oh * SH - PH + kh
                run = cols[n, oh, ow, kh]
                if h < 0 or h >= H or first >= last:
                    run[:] = 0
                    continue
                run[:first] = 0
                inside, pixels = run[first:last], x[n, h, left + first : left + last]
                for i in range(inside.size):
                    inside[i] = pixels[i]
                run[last:] = 0


@parallel_jit
def col2im(part, parts, cols, x, C, SH, SW, PH, PW):
    """x[n, oh*SH - PH + kh, (ow*SW - PW + kw)*C + c] += cols[n, oh, ow, kh, kw*C + c], from zero.

    Each thread gathers whole rows of the image: where windows overlap, their sum has one order.
    """
    N, H, WC = x.shape
    OH, OW, KH, KWC = cols.shape[1:]
    for row in range(*share(N * H, part, parts)):
        n, h = row // H, row % H
        x[n, h] = 0
        for kh in range(KH):
            oh, remainder = (h + PH - kh) // SH, (h + PH - kh) % SH
            if remainder != 0 or oh < 0 or oh >= OH:
                continue
            for ow in range(OW):
                left = (ow * SW - PW) * C
                first, last = max(0, -left), max(0, min(KWC, WC - left))
                if first < last:
                    inside, pixels = cols[n, oh, ow, kh, first:last], x[n, h, left + first : left + last]
                    for i in range(inside.size):
                        pixels[i] += inside[i]
