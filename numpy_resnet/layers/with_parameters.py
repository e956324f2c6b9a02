"""Layers that learn: convolution, batch norm, fully connected."""

import numpy as np

from numpy_resnet import ops as numpy_resnet_ops
from numpy_resnet.layers.base import Layer
from numpy_resnet.layout import channels_first
from numpy_resnet.ops import _checks


class Conv2d(Layer):
    """y = conv2d(x, weight, bias).   weight (OC, C, KH, KW), He-normal by fan-out (He et al. 2015, "Delving Deep")."""

    op = "conv2d"

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        bias=True,
        *,
        rng=None,
        dtype=np.float32,
        ops=numpy_resnet_ops,
    ):
        super().__init__(ops)
        _checks.integer("in_channels", in_channels, 1), _checks.integer("out_channels", out_channels, 1)
        _checks.pair("stride", stride, 1), _checks.pair("padding", padding, 0), _checks.float_type(dtype)
        rng = np.random.default_rng(rng)
        KH, KW = _checks.pair("kernel_size", kernel_size, 1)
        self.options = {"stride": stride, "padding": padding}
        weight = rng.normal(0, np.sqrt(2 / (out_channels * KH * KW)), (out_channels, KH, KW, in_channels))
        params = {"weight": channels_first(weight.astype(dtype))}
        if bias:
            bound = 1 / np.sqrt(in_channels * KH * KW)
            params["bias"] = rng.uniform(-bound, bound, out_channels).astype(dtype)
        self._new_params(**params)

    def _forward(self, x):
        return self.ops.conv2d(x, self.params["weight"], self.params.get("bias"), **self.options)

    def _backward(self, dy, cache, *, input_gradient=True):
        if input_gradient:
            dx, self.grads["weight"], dbias = self.ops.conv2d_backward(dy, cache)
        else:
            dx, (self.grads["weight"], dbias) = None, self.ops.conv2d_backward_parameters(dy, cache)
        if "bias" in self.params:
            self.grads["bias"] = dbias
        return dx

    def multiply_adds(self, output):
        return output.size * self.params["weight"][0].size

    def __repr__(self):
        OC, C, KH, KW = self.params["weight"].shape
        return f"Conv2d({C}, {OC}, {KH}x{KW}, stride={self.options['stride']}, padding={self.options['padding']})"


class BatchNorm2d(Layer):
    """Batch statistics in training, running statistics in evaluation.   weight and bias (C,)

    running = (1 - momentum) * running + momentum * batch, with the unbiased variance.
    """

    def __init__(self, num_features, eps=1e-5, momentum=0.1, *, dtype=np.float32, ops=numpy_resnet_ops):
        super().__init__(ops)
        _checks.integer("num_features", num_features, 1), _checks.float_type(dtype)
        self.eps = _checks.number("eps", eps, 0, np.inf)
        self.momentum = _checks.number("momentum", momentum, 0, np.inf)
        self._new_params(weight=np.ones(num_features, dtype), bias=np.zeros(num_features, dtype))
        self.buffers = {
            "running_mean": np.zeros(num_features, dtype),
            "running_var": np.ones(num_features, dtype),
            "num_batches_tracked": np.zeros((), np.int64),
        }

    @property
    def op(self):
        return "batchnorm2d" if self.training else "batchnorm2d_inference"

    def forward_fused(self, op, x, *more):
        """forward in training by an op that does more than batchnorm2d; backward then returns what that op's does."""
        return self._keep(*self._train(op, x, *more))

    def _forward(self, x):
        if self.training:
            return self._train("batchnorm2d", x)
        y, cache = self.ops.batchnorm2d_inference(
            x, *self.params.values(), self.buffers["running_mean"], self.buffers["running_var"], eps=self.eps
        )
        return y, (self.ops.batchnorm2d_inference_backward, cache)

    def _train(self, op, x, *more):
        weight, bias = self.params.values()
        mean, var, batches = self.buffers.values()
        y, cache = getattr(self.ops, op)(x, weight, bias, *more, eps=self.eps)
        M = x.size // len(weight)  # values per channel
        if M:  # an empty batch tells nothing
            mean += self.momentum * (cache.mean - mean)
            var += self.momentum * (cache.var * (M / (M - 1)) - var)
        batches += 1
        return y, (getattr(self.ops, f"{op}_backward"), cache)

    def _backward(self, dy, cache):
        backward, cache = cache
        dx, self.grads["weight"], self.grads["bias"], *more = backward(dy, cache)
        return (dx, *more) if more else dx

    def __repr__(self):
        return f"BatchNorm2d({len(self.params['weight'])})"


class Linear(Layer):
    """y = x @ weight.T + bias.   weight (OUT, IN), uniform within 1/sqrt(IN), as is bias (OUT,)."""

    op = "linear"

    def __init__(self, in_features, out_features, bias=True, *, rng=None, dtype=np.float32, ops=numpy_resnet_ops):
        super().__init__(ops)
        _checks.integer("in_features", in_features, 1), _checks.integer("out_features", out_features, 1)
        _checks.float_type(dtype)
        rng, bound = np.random.default_rng(rng), 1 / np.sqrt(in_features)
        params = {"weight": rng.uniform(-bound, bound, (out_features, in_features)).astype(dtype)}
        if bias:
            params["bias"] = rng.uniform(-bound, bound, out_features).astype(dtype)
        self._new_params(**params)

    def _forward(self, x):
        return self.ops.linear(x, self.params["weight"], self.params.get("bias"))

    def _backward(self, dy, cache):
        dx, self.grads["weight"], dbias = self.ops.linear_backward(dy, cache)
        if "bias" in self.params:
            self.grads["bias"] = dbias
        return dx

    def multiply_adds(self, output):
        return output.size * self.params["weight"][0].size

    def __repr__(self):
        OUT, IN = self.params["weight"].shape
        return f"Linear({IN}, {OUT})"
