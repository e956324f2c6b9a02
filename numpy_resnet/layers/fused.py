"""Batch norm and the layers behind it as one op, in training: fewer passes over memory, the same numbers.

The layers stay where they are in the network; these two only call them, all at once or, in evaluation and where
`trace` watches them, one by one. They are no layers themselves: they have no parameters and keep nothing.
"""


class NormReLU:
    """y = relu(norm(x))."""

    def __init__(self, norm, relu):
        self.norm, self.relu = norm, relu

    def forward(self, x):
        if not self.norm.training or self.norm.watched:
            return self.relu.forward(self.norm.forward(x))
        self.relu.forget()
        return self.norm.forward_fused("batchnorm2d_relu", x)

    def backward(self, dy):
        if self.relu.waiting:
            dy = self.relu.backward(dy)
        return self.norm.backward(dy)


class NormAddReLU:
    """y = relu(norm(x) + shortcut)."""

    def __init__(self, norm, add, relu):
        self.norm, self.add, self.relu = norm, add, relu

    def forward(self, x, shortcut):
        if not self.norm.training or self.norm.watched:
            return self.relu.forward(self.add.forward(self.norm.forward(x), shortcut))
        self.relu.forget()
        return self.norm.forward_fused("batchnorm2d_add_relu", x, shortcut)

    def backward(self, dy):
        if not self.relu.waiting:
            return self.norm.backward(dy)  # dx, dshortcut
        dh, dshortcut = self.add.backward(self.relu.backward(dy))
        return self.norm.backward(dh), dshortcut
