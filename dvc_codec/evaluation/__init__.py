"""How good is it, measured on files: metrics, encoders to compare with, BD-rate, tables.

sequences   which videos
datasets    UVG, HEVC, MCL-JCV and Kodak by their file names
metrics     PSNR, distortion and bits per pixel of a decoded file
rgb         pictures as red, green and blue
similarity  SSIM, MS-SSIM, VMAF
frame_bits  what every frame of a coded file costs
measures    the qualities that curves are drawn of
anchors     x264, x265, SVT-AV1, VVenC and others, with their commands
task        one video at one point of one codec: encode, decode, measure
engine      many tasks over many processes
ray_engine  the same over a cluster
results     the JSON they go into, and what is in there already
bdrate      one curve against another
tables      all of it as markdown
report      all of it as a page to look at
provenance  which code, libraries and machine it was
"""
