"""Operating a system: the doctor's findings, workers' metrics, and the health of each part."""
