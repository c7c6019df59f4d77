"""Real kernels for the tests: Debian kernels in QEMU with an emulated Intel IOMMU.

Start with ``python -m tests.kernel --help``.
"""
