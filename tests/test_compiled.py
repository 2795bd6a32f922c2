"""Kernels are compiled wherever their source is."""

import numpy as np

from dvc_codec.compiled import compiled


def test_sums_are_neither_reordered_nor_contracted() -> None:
    """In float32, in this order, what is small is lost; and a product is rounded before a sum."""

    def total(values: np.ndarray, factor: np.float32) -> np.float32:
        found = np.float32(0)
        for n in range(len(values)):
            found += values[n] * factor
        return found

    kernel = compiled(total)
    random = np.random.default_rng(1)
    for _ in range(20):
        values = (random.standard_normal(1000) * 10.0 ** random.integers(-6, 6, 1000)).astype("f4")
        factor = np.float32(random.standard_normal())
        assert kernel(values, factor) == total(values, factor)


def test_source_that_has_no_place_on_disk_is_compiled_too() -> None:
    names: dict[str, object] = {}
    exec("def twice(x):\n    return 2 * x", names)
    twice = names["twice"]
    assert callable(twice)
    assert compiled(twice)(21) == 42
