"""depwalk: why a Windows DLL or Python extension does not load."""

__version__ = "0.1.0.dev0"
