"""The command line: arguments in, lines and exit codes out. What they mean is decided below."""
