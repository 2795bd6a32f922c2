"""Integers decide here: scale indices, what is learned of symbols, and the arithmetic coder.

Floats never reach the bitstream's parse.
"""
