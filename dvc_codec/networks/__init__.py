"""The learned parts of the codec: torch modules, each usable alone.

Nothing here knows files, bits or training.
"""
