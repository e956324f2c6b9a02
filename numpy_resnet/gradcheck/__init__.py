"""Is a backward right? Differences decide, entry by entry; and if it is wrong, the doctor says where and why."""

from numpy_resnet.gradcheck.awkward import Case, apart
from numpy_resnet.gradcheck.cases import op_cases
from numpy_resnet.gradcheck.diagnosis import Diagnosis
from numpy_resnet.gradcheck.doctor import awkward_cases, diagnose, diagnose_op
from numpy_resnet.gradcheck.findings import CAUSES, Finding
from numpy_resnet.gradcheck.finite_differences import check_gradients
from numpy_resnet.gradcheck.model import ModelDiagnosis, diagnose_model
from numpy_resnet.gradcheck.network import check_model_gradients
from numpy_resnet.gradcheck.report import ArgumentReport, GradientReport
from numpy_resnet.gradcheck.specs import SPECS, backward_name, op_pair

__all__ = [
    "CAUSES",
    "SPECS",
    "ArgumentReport",
    "Case",
    "Diagnosis",
    "Finding",
    "GradientReport",
    "ModelDiagnosis",
    "apart",
    "awkward_cases",
    "backward_name",
    "check_gradients",
    "check_model_gradients",
    "diagnose",
    "diagnose_model",
    "diagnose_op",
    "op_cases",
    "op_pair",
]
