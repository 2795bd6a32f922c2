"""A short door: `python evaluate.py ...` is `dvc-codec evaluate ...`."""

import sys

from dvc_codec.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
