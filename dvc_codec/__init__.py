"""dvc-codec, an end-to-end learned video codec."""

__version__ = "0.1.0"
