"""Every op once more, by its definition, in plain loops: slow, obvious, and the oracle of the fast ones.

A forward returns y alone; its backward takes dy and the forward's arguments again, and asks of every step
that led to y: how much of dy does each thing that went in get? Arguments are taken to be right: nothing is
checked here. Images are (N, C, H, W); kernel_size, stride and padding an integer or (height, width).
"""

import numpy as np


def pair(value):
    """An integer, or (height, width) -> (height, width)."""
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def output_size(size, kernel_size, stride, padding):
    """How many windows there are: (H, W) -> (OH, OW). A stride of None is that of the kernel."""
    (H, W), (KH, KW), (SH, SW), (PH, PW) = map(pair, (size, kernel_size, stride or kernel_size, padding))
    return (H + 2 * PH - KH) // SH + 1, (W + 2 * PW - KW) // SW + 1


def taps(size, kernel_size, stride, padding):
    """Every (oh, ow, kh, kw, h, w) where window (oh, ow) has pixel (h, w) of the image at its place (kh, kw).

    The places of a window come in reading order; those that fall on the padding are left out.
    """
    (H, W), (KH, KW), (SH, SW), (PH, PW) = map(pair, (size, kernel_size, stride or kernel_size, padding))
    found = []
    for oh, ow, kh, kw in np.ndindex(*output_size(size, kernel_size, stride, padding), KH, KW):
        h = oh * SH - PH + kh
        w = ow * SW - PW + kw
        if 0 <= h < H and 0 <= w < W:
            found.append((oh, ow, kh, kw, h, w))
    return found


def conv2d(x, weight, bias=None, *, stride=1, padding=0):
    """y[n, oc, oh, ow] = bias[oc] + sum over c, kh, kw of weight[oc, c, kh, kw] * x[n, c, h, w].

    x (N, C, H, W), weight (OC, C, KH, KW), bias (OC,) or None -> y (N, OC, OH, OW); the padding adds nothing.
    """
    (N, C, *size), (OC, _, *kernel_size) = x.shape, weight.shape
    y = np.zeros((N, OC, *output_size(size, kernel_size, stride, padding)), x.dtype)
    for oc in range(OC):
        y[:, oc] = 0 if bias is None else bias[oc]
    places = taps(size, kernel_size, stride, padding)
    for n, oc, c in np.ndindex(N, OC, C):
        for oh, ow, kh, kw, h, w in places:
            y[n, oc, oh, ow] += weight[oc, c, kh, kw] * x[n, c, h, w]
    return y


def conv2d_backward(dy, x, weight, bias=None, *, stride=1, padding=0):
    """Every product weight * x that went into a y sends weight * dy back to x, and x * dy to weight."""
    (N, C, *size), (OC, _, *kernel_size) = x.shape, weight.shape
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    places = taps(size, kernel_size, stride, padding)
    for n, oc, c in np.ndindex(N, OC, C):
        for oh, ow, kh, kw, h, w in places:
            dx[n, c, h, w] += weight[oc, c, kh, kw] * dy[n, oc, oh, ow]
            dweight[oc, c, kh, kw] += x[n, c, h, w] * dy[n, oc, oh, ow]
    return dx, dweight, None if bias is None else dy.sum(axis=(0, 2, 3))  # bias went once into every y


def im2col(x, *, kernel_size, stride=1, padding=0):
    """Every window of x a column: (N, C, H, W) -> (N, C*KH*KW, OH*OW).   Its backward is col2im."""
    (N, C, *size), (KH, KW) = x.shape, pair(kernel_size)
    OH, OW = output_size(size, kernel_size, stride, padding)
    cols = np.zeros((N, C, KH, KW, OH, OW), x.dtype)
    for oh, ow, kh, kw, h, w in taps(size, kernel_size, stride, padding):
        cols[:, :, kh, kw, oh, ow] = x[:, :, h, w]
    return cols.reshape(N, C * KH * KW, OH * OW)


def col2im(cols, *, size, kernel_size, stride=1, padding=0):
    """Every column added back where im2col took it from, size = (H, W).   Its backward is im2col."""
    (KH, KW), (OH, OW) = pair(kernel_size), output_size(size, kernel_size, stride, padding)
    N, C = len(cols), cols.shape[1] // (KH * KW)
    cols, x = cols.reshape(N, C, KH, KW, OH, OW), np.zeros((N, C, *pair(size)), cols.dtype)
    for oh, ow, kh, kw, h, w in taps(size, kernel_size, stride, padding):
        x[:, :, h, w] += cols[:, :, kh, kw, oh, ow]
    return x


def batch_statistics(x):
    """The mean and the biased variance of each channel, (C,) each."""
    N, C, H, W = x.shape
    mean, var = np.zeros(C, x.dtype), np.zeros(C, x.dtype)
    for n, c, h, w in np.ndindex(x.shape):
        mean[c] += x[n, c, h, w] / (N * H * W)
    for n, c, h, w in np.ndindex(x.shape):
        var[c] += (x[n, c, h, w] - mean[c]) ** 2 / (N * H * W)
    return mean, var


def batchnorm2d(x, weight, bias, *, eps=1e-5):
    """y = weight * (x - mean) / sqrt(var + eps) + bias, with the statistics of this batch; vectors (C,)."""
    return batchnorm2d_inference(x, weight, bias, *batch_statistics(x), eps=eps)


def batchnorm2d_backward(dy, x, weight, bias, *, eps=1e-5):
    """Step by step from y back to x, on every path, each step the reverse of one line:

    mean = sum of x / M;  deviation = x - mean;  var = sum of deviation**2 / M;  std = sqrt(var + eps);
    y = weight * deviation / std + bias.
    """
    N, C, H, W = x.shape
    M = N * H * W
    mean, var = batch_statistics(x)
    dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(bias)
    for c in range(C):
        std = np.sqrt(var[c] + eps)
        dstd, dmean = 0, 0
        for n, h, w in np.ndindex(N, H, W):  # y = weight * deviation / std + bias
            upstream, deviation = dy[n, c, h, w], x[n, c, h, w] - mean[c]
            dbias[c] += upstream
            dweight[c] += upstream * deviation / std
            dstd -= upstream * weight[c] * deviation / std**2
            dx[n, c, h, w] += upstream * weight[c] / std
            dmean -= upstream * weight[c] / std
        dvar = dstd / (2 * std)  # std = sqrt(var + eps)
        for n, h, w in np.ndindex(N, H, W):  # var = sum of deviation**2 / M
            deviation = x[n, c, h, w] - mean[c]
            dx[n, c, h, w] += dvar * 2 * deviation / M
            dmean -= dvar * 2 * deviation / M
        for n, h, w in np.ndindex(N, H, W):  # mean = sum of x / M
            dx[n, c, h, w] += dmean / M
    return dx, dweight, dbias


def batchnorm2d_inference(x, weight, bias, running_mean, running_var, *, eps=1e-5):
    """y = weight * (x - running_mean) / sqrt(running_var + eps) + bias: vectors (C,), y as x."""
    y = np.zeros_like(x)
    for n, c, h, w in np.ndindex(x.shape):
        std = np.sqrt(running_var[c] + eps)
        y[n, c, h, w] = weight[c] * (x[n, c, h, w] - running_mean[c]) / std + bias[c]
    return y


def batchnorm2d_inference_backward(dy, x, weight, bias, running_mean, running_var, *, eps=1e-5):
    """The statistics are constants: x reaches y with slope weight / std, and weight with (x - mean) / std."""
    dx, dweight, dbias = np.zeros_like(x), np.zeros_like(weight), np.zeros_like(bias)
    for n, c, h, w in np.ndindex(x.shape):
        std = np.sqrt(running_var[c] + eps)
        dbias[c] += dy[n, c, h, w]
        dweight[c] += dy[n, c, h, w] * (x[n, c, h, w] - running_mean[c]) / std
        dx[n, c, h, w] = dy[n, c, h, w] * weight[c] / std
    return dx, dweight, dbias


def relu(x):
    """y = 0 where x <= 0, else x, of any shape. NaN is not <= 0: it passes, here and backward."""
    return np.where(x <= 0, 0, x)


def relu_backward(dy, x):
    """Where y is x it has slope 1; where it is the constant 0, slope 0."""
    return np.where(x <= 0, 0, dy)


def add(a, b):
    """y = a + b, all of one shape."""
    return a + b


def add_backward(dy, a, b):
    """When a grows, y grows by as much, and so with b: each gets dy."""
    return dy.copy(), dy.copy()


def winners(x, kernel_size, stride, padding):
    """{(n, c, oh, ow): (n, c, h, w)}: the pixel that wins each window, the first maximum or the last NaN."""
    found = {}
    for n, c in np.ndindex(x.shape[:2]):
        for oh, ow, _, _, h, w in taps(x.shape[2:], kernel_size, stride, padding):
            best = found.setdefault((n, c, oh, ow), (n, c, h, w))
            if x[n, c, h, w] > x[best] or np.isnan(x[n, c, h, w]):
                found[n, c, oh, ow] = n, c, h, w
    return found


def maxpool2d(x, *, kernel_size, stride=None, padding=0):
    """y[n, c, oh, ow] = the largest x of its window, -inf in the padding: (N, C, H, W) -> (N, C, OH, OW)."""
    y = np.full((*x.shape[:2], *output_size(x.shape[2:], kernel_size, stride, padding)), -np.inf, x.dtype)
    for window, pixel in winners(x, kernel_size, stride, padding).items():
        y[window] = x[pixel]
    return y


def maxpool2d_backward(dy, x, *, kernel_size, stride=None, padding=0):
    """y is a copy of the winner, so the winner gets all of dy, and that of every window it wins."""
    dx = np.zeros_like(x)
    for window, pixel in winners(x, kernel_size, stride, padding).items():
        dx[pixel] += dy[window]
    return dx


def avgpool2d(x, *, kernel_size, stride=None, padding=0):
    """y[n, c, oh, ow] = sum of x over its window / (KH*KW): a mean in which the padding counts as zeros."""
    (N, C, *size), (KH, KW) = x.shape, pair(kernel_size)
    y = np.zeros((N, C, *output_size(size, kernel_size, stride, padding)), x.dtype)
    for oh, ow, _, _, h, w in taps(size, kernel_size, stride, padding):
        y[:, :, oh, ow] += x[:, :, h, w] / (KH * KW)
    return y


def avgpool2d_backward(dy, x, *, kernel_size, stride=None, padding=0):
    """Every pixel has the weight 1 / (KH*KW) in each window that sees it."""
    (KH, KW), dx = pair(kernel_size), np.zeros_like(x)
    for oh, ow, _, _, h, w in taps(x.shape[2:], kernel_size, stride, padding):
        dx[:, :, h, w] += dy[:, :, oh, ow] / (KH * KW)
    return dx


def global_avgpool2d(x):
    """y[n, c] = the mean over h, w of x[n, c, h, w]: an average pool of one window, giving (N, C)."""
    return avgpool2d(x, kernel_size=x.shape[2:])[:, :, 0, 0]


def global_avgpool2d_backward(dy, x):
    """Every pixel has the weight 1 / (H*W) in the mean of its map."""
    return avgpool2d_backward(dy[:, :, None, None], x, kernel_size=x.shape[2:])


def flatten(x):
    """y[n, (c, h, w)] = x[n, c, h, w]: (N, C, H, W) -> (N, C*H*W)."""
    N, C, H, W = x.shape
    y = np.zeros((N, C * H * W), x.dtype)
    for n, c, h, w in np.ndindex(x.shape):
        y[n, (c * H + h) * W + w] = x[n, c, h, w]
    return y


def flatten_backward(dy, x):
    """Every gradient goes back to where its value came from."""
    (_, _, H, W), dx = x.shape, np.zeros_like(x)
    for n, c, h, w in np.ndindex(x.shape):
        dx[n, c, h, w] = dy[n, (c * H + h) * W + w]
    return dx


def zero_pad_channels(x, *, channels, stride):
    """Every stride-th pixel, and zeros for the new channels, half before, half behind (He et al. 2015, A)."""
    N, C, *size = x.shape
    y, before = np.zeros((N, channels, *output_size(size, 1, stride, 0)), x.dtype), (channels - C) // 2
    for oh, ow, _, _, h, w in taps(size, 1, stride, 0):
        y[:, before : before + C, oh, ow] = x[:, :, h, w]
    return y


def zero_pad_channels_backward(dy, x, *, channels, stride):
    """A pixel that was copied gets its gradient back, one that was skipped gets none."""
    (_, C, *size), dx = x.shape, np.zeros_like(x)
    before = (channels - C) // 2
    for oh, ow, _, _, h, w in taps(size, 1, stride, 0):
        dx[:, :, h, w] = dy[:, before : before + C, oh, ow]
    return dx


def linear(x, weight, bias=None):
    """y[n, o] = bias[o] + sum over i of weight[o, i] * x[n, i].

    x (N, IN), weight (OUT, IN), bias (OUT,) or None -> y (N, OUT).
    """
    (N, IN), OUT = x.shape, len(weight)
    y = np.zeros((N, OUT), x.dtype)
    for n, o in np.ndindex(N, OUT):
        y[n, o] = 0 if bias is None else bias[o]
        for i in range(IN):
            y[n, o] += weight[o, i] * x[n, i]
    return y


def linear_backward(dy, x, weight, bias=None):
    """Every product weight * x that went into a y sends weight * dy back to x, and x * dy to weight."""
    (N, IN), OUT = x.shape, len(weight)
    dx, dweight = np.zeros_like(x), np.zeros_like(weight)
    for n, o, i in np.ndindex(N, OUT, IN):
        dx[n, i] += weight[o, i] * dy[n, o]
        dweight[o, i] += x[n, i] * dy[n, o]
    return dx, dweight, None if bias is None else dy.sum(axis=0)  # bias went once into every y


def dropout(x, keep, *, p):
    """y = x / (1 - p) where keep, else 0, of any shape."""
    return x * keep / (1 - p)


def dropout_backward(dy, x, keep, *, p):
    """What was kept has slope 1 / (1 - p), what was dropped has none."""
    return dy * keep / (1 - p)


def softmax(x):
    """y[n, c] = exp(x[n, c]) / sum over k of exp(x[n, k]): (N, C) -> (N, C)."""
    return np.exp(log_softmax(x))


def softmax_backward(dy, x):
    """y is exp(log_softmax(x)), and the slope of exp is exp itself."""
    return log_softmax_backward(dy * softmax(x), x)


def log_softmax(x):
    """y[n, c] = x[n, c] - log(sum over k of exp(x[n, k])): (N, C) -> (N, C).

    Taking the largest x of the row off first changes nothing, but keeps exp from overflowing.
    """
    (N, C), y = x.shape, np.zeros_like(x)
    for n in range(N):
        largest = max(x[n])
        total = sum(np.exp(x[n, k] - largest) for k in range(C))
        for c in range(C):
            y[n, c] = x[n, c] - largest - np.log(total)
    return y


def log_softmax_backward(dy, x):
    """The slope of y[c] in x[k] is [c == k] - softmax(x)[k]."""
    (N, C), p, dx = x.shape, softmax(x), np.zeros_like(x)
    for n, c, k in np.ndindex(N, C, C):
        dx[n, k] += dy[n, c] * ((c == k) - p[n, k])
    return dx


def shares(shape, labels, class_weight, label_smoothing):
    """Every (n, c, share) such that loss = sum of -share * log_softmax(logits)[n, c].

    An image wants 1 - label_smoothing of its label and label_smoothing / C of every class, each times the
    weight of that class; the mean divides by the weights of all labels.
    """
    N, C = shape
    weight = np.ones(C) if class_weight is None else class_weight
    total = sum(weight[label] for label in labels) or np.nan  # without weight there is no mean
    for n, c in np.ndindex(N, C):
        wanted = (1 - label_smoothing) * (c == labels[n]) + label_smoothing / C
        if wanted > 0:
            yield n, c, wanted * weight[c] / total


def cross_entropy(logits, labels, *, class_weight=None, label_smoothing=0.0):
    """The weighted mean of -log p[label], a scalar: logits (N, C), labels (N,). NaN for an empty batch."""
    log_p, loss = log_softmax(logits), 0 if len(labels) else np.nan
    for n, c, share in shares(logits.shape, labels, class_weight, label_smoothing):
        loss -= share * log_p[n, c]
    return logits.dtype.type(loss)


def cross_entropy_backward(dy, logits, labels, *, class_weight=None, label_smoothing=0.0):
    """Each log-probability gets -share * dy, and log_softmax takes it back to the logits."""
    dlog_p = np.zeros_like(logits)
    for n, c, share in shares(logits.shape, labels, class_weight, label_smoothing):
        dlog_p[n, c] = -share * dy
    return log_softmax_backward(dlog_p, logits)
