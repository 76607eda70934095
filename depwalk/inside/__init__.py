"""What runs in the Python that is being diagnosed, where there is no depwalk: standard library only, syntax of 3.5."""
