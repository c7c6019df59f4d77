"""The one exception this package shows to its users."""


class HarnessError(Exception):
    """Something outside the code under test is missing or failed; the text says what."""


class KernelMissingError(HarnessError):
    """The package of a kernel cannot be had at the moment."""
