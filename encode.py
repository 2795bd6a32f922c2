"""A short door: `python encode.py ...` is `dvc-codec encode ...`."""

import sys

from dvc_codec.cli.main import program

if __name__ == "__main__":
    program(["encode", *sys.argv[1:]])
