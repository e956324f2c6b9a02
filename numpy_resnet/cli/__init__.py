"""The command line: `numpy-resnet COMMAND ...`, or `python -m numpy_resnet COMMAND ...`."""

import argparse
import os
import sys

from numpy_resnet import __version__
from numpy_resnet.cli import check, train, use
from numpy_resnet.kernels.jit import on_first_compilation

DESCRIPTION = """\
ResNet-18 in NumPy and Numba, every backward written by hand.

  numpy-resnet train                     train ResNet-18 on the digits that come with the package
  numpy-resnet evaluate runs/digits      how good the trained network is on the test images
  numpy-resnet predict runs/digits a.png which digit is this?
  numpy-resnet summary resnet50          the stages: output shapes, parameters, multiply-adds
  numpy-resnet gradcheck                 every backward against finite differences
  numpy-resnet warmup                    compile all kernels now, so that nothing waits later
"""


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser():
    parser = Parser(prog="numpy-resnet", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"numpy-resnet {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (train, use, check):
        module.add_commands(commands)
    return parser


def main(argv=None):
    """Run one command; returns the exit code. What the user can mend is one line on stderr, and 2."""
    args = build_parser().parse_args(argv)
    on_first_compilation(lambda: print("compiling kernels, once (the next run finds them) ...", file=sys.stderr))
    try:
        code = args.command(args) or 0
        if sys.stdout:
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # `numpy-resnet summary | head -1`: who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError as error:
        print(f"numpy-resnet: too large for this machine's memory: {error}", file=sys.stderr)
        return 2
    except (ValueError, TypeError, OSError, FloatingPointError) as error:
        print("numpy-resnet: " + " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("numpy-resnet: stopped", file=sys.stderr)
        return 130


def run():
    """The entry point of the console script."""
    sys.exit(main())
