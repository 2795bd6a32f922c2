"""A short door: `python decode.py ...` is `dvc-codec decode ...`."""

import sys

from dvc_codec.cli.main import program

if __name__ == "__main__":
    program(["decode", *sys.argv[1:]])
