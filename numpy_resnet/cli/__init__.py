"""The command line: `numpy-resnet COMMAND ...`, or `python -m numpy_resnet COMMAND ...`."""

import argparse
import os
import sys
import warnings

from tqdm import tqdm

from numpy_resnet import __version__
from numpy_resnet.cli import bench, check, convert, download, evaluate, exercises, explore, predict, summary, train
from numpy_resnet.data import Skipped
from numpy_resnet.kernels.jit import on_first_compilation
from numpy_resnet.kernels.threads import give_way

DESCRIPTION = """\
ResNet-18 in NumPy and Numba, every backward written by hand.

  numpy-resnet train                     train ResNet-18 on the digits that come with the package
  numpy-resnet train --data FOLDER       on a folder of images; --resume RUN goes on with a run that was stopped
  numpy-resnet evaluate                  how good the network trained last is on the test images
  numpy-resnet predict a.png             which digit is this?
  numpy-resnet explain a.png             and why: a heat map of where the network looked
  numpy-resnet explore                   a page to step through: each layer, forward and backward, on real numbers
  numpy-resnet inspect resnet18.pth      what is in a weights file, PyTorch's too; convert IN OUT: another format
  numpy-resnet download resnet18         weights and data sets of others; without a name: what there is
  numpy-resnet summary resnet50          the stages: output shapes, parameters, multiply-adds
  numpy-resnet gradcheck                 every backward against finite differences; --file mine.py: yours, and why not
  numpy-resnet exercises start DIR       write them all yourself, and be told what is wrong and why
  numpy-resnet warmup                    compile all kernels now, so that nothing waits later
  numpy-resnet bench                     how fast inference and training are on this machine
"""


class Parser(argparse.ArgumentParser):
    """argparse, but an error is one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser():
    parser = Parser(prog="numpy-resnet", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"numpy-resnet {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (train, evaluate, predict, explore, convert, download, summary, check, exercises, bench):
        module.add_commands(commands)
    return parser


def _show_warning(message, category, filename, lineno, file=None, line=None):
    """A warning is one line, too; the bar moves down for it."""
    tqdm.write(f"numpy-resnet: {' '.join(str(message).split())}", file=sys.stderr)


def main(argv=None):
    """Run one command; returns the exit code. What the user can mend is one line on stderr, and 2."""
    args = build_parser().parse_args(argv)
    on_first_compilation(lambda: print("compiling kernels, once (the next run finds them) ...", file=sys.stderr))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("always", category=Skipped)
            warnings.showwarning = _show_warning
            code = args.command(args) or 0
        if sys.stdout:
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # `numpy-resnet summary | head -1`: who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError as error:
        return _refuse(f"too large for this machine's memory: {error}")
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else error.strerror or error)
    except (ValueError, TypeError, FloatingPointError) as error:
        return _refuse(error)
    except KeyboardInterrupt:
        print("numpy-resnet: stopped", file=sys.stderr)
        return 130


def _refuse(error):
    print(f"numpy-resnet: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


def run():
    """The entry point of the console script."""
    give_way()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        wide = stream.encoding.lower().replace("-", "") == "utf8"
        stream.reconfigure(errors="surrogateescape" if wide else "backslashreplace")  # names are printed as they are
    sys.exit(main())
