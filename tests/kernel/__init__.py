"""Real kernels for the tests: Debian kernels in QEMU with an emulated Intel IOMMU.

``python -m tests.kernel --help`` is the way in.
"""
