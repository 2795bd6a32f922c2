"""A short door to training: `python train.py` says what it can do."""

import sys

from dvc_codec.training.main import main

if __name__ == "__main__":
    sys.exit(main())
