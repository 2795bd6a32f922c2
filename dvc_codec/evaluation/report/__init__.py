"""report.html: one file that a person can look at, with no network, made from a results.json.

page       the whole of it, and write_report(), which is where to begin
rates      tables of BD-rate
curves     rate-distortion curves and speed, as figures
sequence   the section of one sequence
subject    what all of these are about
charts     curves, rate against speed, timelines, as SVG
svg        axes and marks
exhibits   decoded pictures and everything else that is made from coded files
equal_bits an anchor's file of our size
inside     one P frame taken apart
pictures   pictures as data URIs, and numbers as colours
published  curves that others printed
"""
