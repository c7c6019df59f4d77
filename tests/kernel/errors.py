"""The one exception this package shows to its users."""


class HarnessError(Exception):
    """Something outside the code under test is missing or has failed; the text says what."""


class KernelMissingError(HarnessError):
    """A kernel's package is not available at the moment."""
