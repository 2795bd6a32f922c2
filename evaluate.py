"""A short door: `python evaluate.py ...` is `dvc-codec evaluate ...`."""

import sys

from dvc_codec.cli.main import program

if __name__ == "__main__":
    program(["evaluate", *sys.argv[1:]])
