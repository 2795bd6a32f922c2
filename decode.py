"""A short door: `python decode.py ...` is `dvc-codec decode ...`."""

import sys

from dvc_codec.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["decode", *sys.argv[1:]]))
