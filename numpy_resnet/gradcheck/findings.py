"""What the doctor says: findings, each with its cause, and the words for every cause."""

from dataclasses import asdict, dataclass

CAUSES = {  # code: (what is the matter, what to do)
    "constant_factor": (
        "all of it is off by one factor",
        "look for a mean where a sum belongs, a division too many or too few, or a sign",
    ),
    "channel_factor": (
        "each channel is off by a factor of its own",
        "look for a per-channel vector that is missing, applied twice, or to the wrong power",
    ),
    "sample_factor": (
        "each sample is off by a factor of its own",
        "look for a per-sample weight that is missing or applied twice",
    ),
    "mean_path": (
        "x also reaches y through the mean, and that path is missing or wrong",
        "batch norm: subtract weight / std * mean(dy), the mean over N, H and W",
    ),
    "variance_path": (
        "x also reaches y through the variance, and that path is missing or wrong",
        "batch norm: subtract weight / std * x_hat * mean(dy * x_hat), the mean over N, H and W",
    ),
    "mean_and_variance_path": (
        "x also reaches y through the mean and the variance of its channel, and both paths are missing or wrong",
        "batch norm: dx = weight / std * (dy - mean(dy) - x_hat * mean(dy * x_hat)), means over N, H and W",
    ),
    "sum_path": (
        "every class is divided by the sum over all classes, and that path is missing or wrong",
        "softmax: dx = y * (dy - sum(dy * y)); log-softmax: dx = dy - softmax(x) * sum(dy); sums over the classes",
    ),
    "transposed": ("two axes are exchanged", "write the shapes beside each line, and try sizes that all differ"),
    "rotated_180": (
        "a kernel is rotated by 180 degrees",
        "the gradient of the kernel is not flipped, and dx needs the flip only once",
    ),
    "shifted": (
        "gradients land some pixels away from where they belong",
        "the padding goes off on both sides, [PH : PH + H], and window oh begins at oh * stride - padding",
    ),
    "mask_missing": (
        "gradient passes where the forward let nothing through",
        "multiply by the mask of the forward: keep it in the cache",
    ),
    "mask_inverted": ("gradient passes exactly where it should not", "turn the comparison of the mask round"),
    "mask_wrong_source": (
        "the mask is not the forward's: gradient passes in other places",
        "make the mask in the forward, from its own input, and keep it in the cache",
    ),
    "one_sample_only": (
        "only one sample of the batch counts",
        "add over the batch: += in the loop over n, from zero before the loop",
    ),
    "not_accumulated": (
        "where several outputs use one value, one of them counts instead of their sum",
        "add with +=, into zeros: every place that used a value sends a gradient back to it",
    ),
    "partly_missing": (
        "a part of the gradient is missing",
        "look at the bounds of the loops, and at what is sliced off",
    ),
    "summed_too_far": (
        "an axis was summed over that the argument has",
        "sum only over the axes that the argument does not have",
    ),
    "not_summed": (
        "an axis was not summed over",
        "an argument that was broadcast gets the sum over all places where it was used",
    ),
    "branch_missing": ("one of the ways from x to y is missing", "a value used twice gets the sum of both gradients"),
    "branch_doubled": ("one of the ways from x to y counts twice", "add each gradient once"),
    "branch_halved": ("one of the ways from x to y counts half", "a sum passes all of dy into each branch"),
    "branch_factor": ("one of the ways from x to y has a wrong factor", "look at that term alone"),
    "upstream_ignored": ("the gradient does not depend on dy as it should", "every gradient is something times dy"),
    "not_normalised": ("the probabilities do not add up to 1", "divide exp by its sum over the classes"),
    "train_formula_in_eval": (
        "this is the backward of training, but the statistics were constants",
        "in inference dx = weight / std * dy: mean and variance do not depend on x",
    ),
    "wrong_statistics": (
        "x was not normalised with the statistics of the forward",
        "keep the mean and the variance of the forward in the cache",
    ),
    "stale_state": (
        "something is left over from another call",
        "keep everything in the cache and return new arrays: no globals, no buffers that are used again",
    ),
    "writes_input": ("an input was changed in place", "work on a copy: others still need it"),
    "writes_upstream": ("dy was changed in place", "work on a copy: the other branch shares dy"),
    "forward_wrong": ("the forward is not what the op is defined to be", "compare it with the equation, term by term"),
    "not_finite": (
        "there are infinities or NaN",
        "take the largest off before exp; add eps before a root or a quotient",
    ),
    "raises": ("an exception came", "run this case by hand"),
    "not_returned": ("a gradient is missing, or there are too many", "return one gradient for each array, in order"),
    "wrong_shape": ("the shape is wrong", "a gradient has the shape of its argument"),
    "wrong_order": ("the gradients are right but in another order", "return them in the order of the arguments"),
    "wrong_argument": (
        "a parameter in the formula is not the one of the forward",
        "keep the parameters that the forward used in the cache",
    ),
    "not_linear": (
        "backward is not linear in dy",
        "every term has dy in it, once: none without dy, none with its square or sign",
    ),
    "unknown": ("it is none of the mistakes that are known here", "derive this gradient again, for the smallest case"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    argument: str  # "dx", or "dx, dweight"; "y" for the forward
    cause: str  # a key of CAUSES
    evidence: str  # what the numbers show
    confidence: float  # from 0 to 1
    location: str = ""  # where it is wrong
    advice: str = ""  # that of the cause, unless there is a better one

    def __post_init__(self):
        object.__setattr__(self, "advice", self.advice or CAUSES[self.cause][1])

    @property
    def explanation(self):
        return CAUSES[self.cause][0]

    def as_dict(self):
        return {**asdict(self), "explanation": self.explanation}


def likelihood(confidence):
    """A confidence in words."""
    steps = [(0.97, "certain"), (0.85, "very likely"), (0.6, "likely"), (0.35, "possible")]
    return next((word for least, word in steps if confidence >= least), "a guess")
