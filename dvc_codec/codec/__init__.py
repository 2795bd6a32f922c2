"""Where networks and entropy coding meet: P frames, groups of pictures, whole files."""
