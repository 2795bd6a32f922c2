"""The largest count, length and size of anything in a .dvc file. Checked before memory is taken.

A file beyond a limit is refused, by readers and by the writer. Raising one is a change of format.
"""

MAX_WIDTH = MAX_HEIGHT = 16384
MAX_RATIONAL = 2**31 - 1  # numerator and denominator of rates, time bases and aspect ratios
MAX_PTS = 2**62  # and -MAX_PTS the other way
MAX_LAMBDA_MILLI = 2**32 - 1
MAX_GOP_LENGTH = 65535

MAX_HEADER = 4 << 20  # bytes, as MAX_CHUNK, MAX_PAYLOAD and the others that have no unit
MAX_STRING = 65535
MAX_TAGS = 256
MAX_STREAMS = 64
MAX_EXTRADATA = 1 << 20
MAX_EXTENSIONS = 256

MAX_CHUNK = 1 << 30
MAX_FRAMES_PER_GOP = 65535
MAX_FRAMES = 2**40
MAX_GOPS = 1 << 24
MAX_PAYLOADS = 16  # of one frame
MAX_PAYLOAD = 1 << 28
MAX_REFERENCES = 16
FULL_SCALE = 16  # a frame's scale counts sixteenths of the size
MAX_PACKETS_PER_CHUNK = 65535
MAX_PACKET = 1 << 26
MAX_CHAPTERS = 1000
MAX_NANOSECONDS = 2**62
