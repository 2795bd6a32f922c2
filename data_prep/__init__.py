"""Raw data sets to training clips and evaluation manifests. Nothing here downloads anything: data
come from where their owners publish them, under their licences (docs/training.md).
"""
