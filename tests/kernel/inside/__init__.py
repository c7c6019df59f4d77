"""Tests that run as root in a guest of the harness and nowhere else."""
