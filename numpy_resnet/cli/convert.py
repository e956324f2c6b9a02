"""numpy-resnet convert and inspect: weights from one format to another, and what is in a file."""

from pathlib import Path

from numpy_resnet import checkpoint
from numpy_resnet.cli.options import at_least, new_command

CONVERT = """\
Write the arrays of a weights file in another format, which the extension of OUT names: .npz, .safetensors, .pth (for
torch.load), or .onnx, the graph of evaluation for ONNX Runtime or Netron (needs `pip install "numpy_resnet[onnx]"`).
IN may be any of the first three, also what torch.save wrote in older formats; nothing in it is executed.
"""
INSPECT = """\
Name, shape, dtype and bytes of every array in a weights file, what else it tells, and which model it fits.
"""


def add_commands(commands):
    add = new_command(commands, convert, "convert", "weights from one format to another", CONVERT).add_argument
    add("source", type=Path, metavar="IN", help="a weights file")
    add("target", type=Path, metavar="OUT", help="a new file: .npz, .safetensors, .pth or .onnx")
    add("--size", type=at_least(1), metavar="PIXELS", help="for .onnx: of the images (default: as in training; else "
        "224, or 32 for small images)")  # fmt: skip
    add("--batch", type=at_least(1), metavar="N", help="for .onnx: images at once (default: any number)")
    add("--fold", action="store_true", help="for .onnx: batch norms become part of the convolutions")

    add = new_command(commands, inspect, "inspect", "what is in a weights file", INSPECT).add_argument
    add("file", type=Path, metavar="FILE", help=".npz, .safetensors, or what torch.save wrote")


def convert(args):
    if args.target.exists():
        raise ValueError(f"{args.target} exists: name a new file, or move it away")
    if args.target.suffix.lower() == ".onnx":
        model, metadata = checkpoint.load_model(args.source)
        size = _image_size(args.size, model, metadata)
        try:
            checkpoint.export_onnx(args.target, model, size, batch=args.batch, fold=args.fold)
        except ImportError as error:
            raise ValueError(error) from error
        print(f"{args.target}: {model.name}, images of {size[0]}x{size[1]}, {args.target.stat().st_size:,} bytes")
        return
    if args.size or args.batch or args.fold:
        raise ValueError("--size, --batch and --fold are for .onnx files")
    arrays, metadata = checkpoint.load_both(args.source)
    checkpoint.save_arrays(args.target, arrays, metadata or None)
    print(f"{args.target}: {len(arrays):,} arrays, {args.target.stat().st_size:,} bytes")


def _image_size(size, model, metadata):
    if size:
        return size, size
    if isinstance(metadata.get("image_size"), list):
        return tuple(metadata["image_size"])
    small = model.name.startswith("cifar_") or model.options.get("stem") == "cifar"
    return (32, 32) if small else (224, 224)


def inspect(args):
    arrays, metadata = checkpoint.load_both(args.file)
    rows = [(name, "x".join(map(str, a.shape)) or "-", str(a.dtype), f"{a.nbytes:,}") for name, a in arrays.items()]
    rows.insert(0, ("array", "shape", "dtype", "bytes"))
    first, second, third, last = (max(map(len, column)) for column in zip(*rows, strict=True))
    for name, shape, dtype, size in rows:
        print(f"{name:<{first}}  {shape:<{second}}  {dtype:<{third}}  {size:>{last}}")
    numbers, size = (sum(getattr(a, what) for a in arrays.values()) for what in ("size", "nbytes"))
    disk = args.file.stat().st_size
    print(f"\n{len(arrays):,} arrays, {numbers:,} numbers, {size:,} bytes in memory, {disk:,} on disk")
    for key, value in metadata.items():
        print(f"{key}: {_short(value)}")
    print(_fit(arrays))


def _fit(arrays):
    try:
        name, options = checkpoint.recognize(checkpoint.our_names(arrays))
    except checkpoint.CheckpointError as error:
        return f"fits no model here: {error}"
    return f"fits {name}({', '.join(f'{key}={value!r}' for key, value in options.items())})"


def _short(value, most=100):
    text = str(value)
    return text if len(text) <= most else f"{text[:most]}..."
