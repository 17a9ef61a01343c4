"""What scripts/gpu-day.sh runs in Python: networks in PyTorch, timed beside ours, and the table of all results."""
