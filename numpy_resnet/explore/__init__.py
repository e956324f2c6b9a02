"""One page to step through a network, forward and backward: every layer, on the real numbers of one image."""

from numpy_resnet.explore.networks import digit, digits_network, page_of, untrained
from numpy_resnet.explore.write import page

__all__ = ["digit", "digits_network", "page", "page_of", "untrained"]
