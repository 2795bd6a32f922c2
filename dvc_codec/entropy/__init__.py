"""Integers decide here: scale indices, tables, the order of symbols, the range coder.

Floats never reach the bitstream's parse.
"""
