"""Training: data, the replay pool, the loss, the Lightning module, export.

The only package that may import Lightning, kornia or wandb. It trains without PyAV and without
numba where its pictures and I frames were prepared elsewhere (docs/training.md).
"""
