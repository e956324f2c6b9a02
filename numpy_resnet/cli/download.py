"""numpy-resnet download"""

from numpy_resnet import downloads
from numpy_resnet.cli.options import new_command

HELP = """\
Fetch weights or data sets of others into the cache folder, where --weights imagenet and --data NAME find them. Each
file is checked before it is used; a transfer that was cut off goes on where it stopped. Without a name: what there is.
"""


def add_commands(commands):
    add = new_command(commands, download, "download", "weights and data sets of others", HELP).add_argument
    add("names", nargs="*", metavar="NAME", help=", ".join(downloads.REGISTRY))


def download(args):
    for name in args.names:
        if name not in downloads.REGISTRY:
            raise ValueError(f"{name!r} is not known; what can be fetched is {', '.join(downloads.REGISTRY)}")
    for name in args.names:
        downloads.download(name)
        entry = downloads.REGISTRY[name]
        print(f"licence: {entry.licence}; to be cited: {entry.citation}")
    if not args.names:
        _print_all()


def _print_all():
    for name, entry in downloads.REGISTRY.items():
        places = downloads.places(name)
        state = "there" if all(place.exists() for place in places) else "not there"
        print(f"{name:<16} {state:<10} {entry.licence:<14} {entry.citation}")
        for place in places:
            print(f"{'':<16} {place}")
