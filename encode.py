"""A short door: `python encode.py ...` is `dvc-codec encode ...`."""

import sys

from dvc_codec.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["encode", *sys.argv[1:]]))
