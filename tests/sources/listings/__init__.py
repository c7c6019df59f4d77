"""Tests of the listings that people paste."""
