"""Training: data, the replay pool, the loss, the loop.

The only package that may import Lightning, kornia or wandb.
"""
