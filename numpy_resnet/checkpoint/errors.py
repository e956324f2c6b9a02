"""What all readers raise."""


class CheckpointError(ValueError):
    """A file that cannot be a checkpoint, or is one no longer."""
