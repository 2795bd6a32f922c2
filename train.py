"""A short door: `python train.py ...` is `python -m dvc_codec.training.fit ...`."""

from dvc_codec.training.fit import main

if __name__ == "__main__":
    main()
