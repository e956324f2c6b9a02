import os

import pytest
from hypothesis import HealthCheck, settings

from numpy_resnet.kernels.threads import give_way

give_way()  # the tests may run beside other work

# A first example may have to wait for the compiler, so there is no deadline.
settings.register_profile("default", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


def pytest_collection_modifyitems(items):
    """Without the compiler, real sizes take minutes: those tests say so."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") == "1":
        for item in items:
            if item.get_closest_marker("real_size"):
                item.add_marker(pytest.mark.skip(reason="a real size needs the compiler"))
