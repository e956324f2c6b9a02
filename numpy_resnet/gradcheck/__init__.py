"""Check a backward against finite differences: an op entry by entry, a network direction by direction."""

from numpy_resnet.gradcheck.cases import op_cases
from numpy_resnet.gradcheck.finite_differences import check_gradients
from numpy_resnet.gradcheck.network import check_model_gradients
from numpy_resnet.gradcheck.report import ArgumentReport, GradientReport

__all__ = ["ArgumentReport", "GradientReport", "check_gradients", "check_model_gradients", "op_cases"]
