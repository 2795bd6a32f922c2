"""Training: data, the replay pool, the loss, the Lightning module, export.

The only package that may import Lightning, kornia or wandb. It trains without PyAV and without
constriction where its pictures and I frames were prepared elsewhere (docs/training.md).
"""

from dvc_codec.training.absent import stand_in_for

stand_in_for("constriction")  # before anything below imports the codec
