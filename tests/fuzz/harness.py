"""Coverage-guided fuzzing of everything that reads a .dvc file.

    pip install -e '.[fuzz]'
    python -m tests.fuzz.harness build/fuzz tests/fuzz/corpus -max_total_time=3600

New inputs that reach something new go into the first folder, crash-... and timeout-... files into
the working directory; ``python -m tests.fuzz.harness FILE`` runs one again. All other options are
libFuzzer's. Atheris has wheels for Linux on x86-64 and ARM; without it this says so and ends
with 3.
"""

import sys

MISSING = 3
DEFAULTS = ("-timeout=5", "-rss_limit_mb=2048", "-max_len=20000")


def main(arguments: list[str]) -> int:
    """Fuzz until told to stop."""
    try:
        import atheris
    except ImportError as error:
        print(
            f"fuzzing needs atheris: pip install -e '.[fuzz]' (this Python says: {error})",
            file=sys.stderr,
        )
        return MISSING
    with atheris.instrument_imports(include=["dvc_codec.container", "dvc_codec.codec"]):
        from tests.fuzz.target import one_input
    atheris.Setup([arguments[0], *DEFAULTS, *arguments[1:]], one_input)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
