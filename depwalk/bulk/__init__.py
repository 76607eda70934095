"""Many files: site-packages, wheels and application folders, judged at once."""
