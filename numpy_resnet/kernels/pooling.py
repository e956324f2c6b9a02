"""Windows of (N, H, W, C) images that shrink to one pixel each, channel by channel."""

import numpy as np

from numpy_resnet.kernels.share import parallel_jit, share


@parallel_jit
def maxpool(part, parts, x, y, winner, KH, KW, SH, SW, PH, PW):
    """y = the largest of each window, winner = its place kh*KW + kw. The first of equals wins, and any NaN."""
    H, W, C = x.shape[1:]
    N, OH, OW = y.shape[:3]
    for row in range(*share(N * OH, part, parts)):
        n, oh = row // OH, row % OH
        for ow in range(OW):
            best, place = y[n, oh, ow], winner[n, oh, ow]
            top, left = oh * SH - PH, ow * SW - PW
            best[:] = -np.inf  # the padding never wins
            place[:] = max(0, -top) * KW + max(0, -left)
            for h in range(max(0, top), min(H, top + KH)):
                for w in range(max(0, left), min(W, left + KW)):
                    pixel, here = x[n, h, w], np.int32((h - top) * KW + w - left)
                    for c in range(C):
                        wins = pixel[c] > best[c] or pixel[c] != pixel[c]
                        best[c] = pixel[c] if wins else best[c]
                        place[c] = here if wins else place[c]


@parallel_jit
def maxpool_values(part, parts, x, y, KH, KW, SH, SW, PH, PW):
    """y = the largest of each window, or NaN if there is one."""
    H, W, C = x.shape[1:]
    N, OH, OW = y.shape[:3]
    for row in range(*share(N * OH, part, parts)):
        n, oh = row // OH, row % OH
        for ow in range(OW):
            best = y[n, oh, ow]
            best[:] = -np.inf
            top, left = oh * SH - PH, ow * SW - PW
            for h in range(max(0, top), min(H, top + KH)):
                for w in range(max(0, left), min(W, left + KW)):
                    pixel = x[n, h, w]
                    for c in range(C):
                        best[c] = pixel[c] if pixel[c] > best[c] or pixel[c] != pixel[c] else best[c]


@parallel_jit
def maxpool_backward(part, parts, dy, winner, dx, KH, KW, SH, SW, PH, PW):
    """dx at each window's winner += dy. Each thread gathers whole rows of dx, as in col2im."""
    N, H, W, C = dx.shape
    OH, OW = dy.shape[1:3]
    for row in range(*share(N * H, part, parts)):
        n, h = row // H, row % H
        dx[n, h] = 0
        for kh in range(KH):
            oh, remainder = (h + PH - kh) // SH, (h + PH - kh) % SH
            if remainder != 0 or oh < 0 or oh >= OH:
                continue
            for ow in range(OW):
                left = ow * SW - PW
                for w in range(max(0, left), min(W, left + KW)):
                    here = np.int32(kh * KW + w - left)
                    pixel, upstream, place = dx[n, h, w], dy[n, oh, ow], winner[n, oh, ow]
                    for c in range(C):
                        pixel[c] += upstream[c] if place[c] == here else 0


@parallel_jit
def avgpool(part, parts, x, y, KH, KW, SH, SW, PH, PW):
    """y = the mean of each window; the padding counts as zeros."""
    H, W, C = x.shape[1:]
    N, OH, OW = y.shape[:3]
    for row in range(*share(N * OH, part, parts)):
        n, oh = row // OH, row % OH
        for ow in range(OW):
            total = y[n, oh, ow]
            total[:] = 0
            top, left = oh * SH - PH, ow * SW - PW
            for h in range(max(0, top), min(H, top + KH)):
                for w in range(max(0, left), min(W, left + KW)):
                    pixel = x[n, h, w]
                    for c in range(C):
                        total[c] += pixel[c]
            for c in range(C):
                total[c] /= KH * KW


@parallel_jit
def avgpool_backward(part, parts, dy, dx, KH, KW, SH, SW, PH, PW):
    """dx += dy / (KH*KW) at every pixel of the window."""
    N, H, W, C = dx.shape
    OH, OW = dy.shape[1:3]
    for row in range(*share(N * H, part, parts)):
        n, h = row // H, row % H
        dx[n, h] = 0
        for kh in range(KH):
            oh, remainder = (h + PH - kh) // SH, (h + PH - kh) % SH
            if remainder != 0 or oh < 0 or oh >= OH:
                continue
            for ow in range(OW):
                left = ow * SW - PW
                for w in range(max(0, left), min(W, left + KW)):
                    pixel, upstream = dx[n, h, w], dy[n, oh, ow]
                    for c in range(C):
                        pixel[c] += upstream[c] / (KH * KW)
