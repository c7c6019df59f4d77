"""Explore Linux IOMMU groups, see why one is not viable, and rebind its devices."""

__version__ = "0.2.0"
