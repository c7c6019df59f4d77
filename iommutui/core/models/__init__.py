"""The models of the kernel's rules, one entry each."""

from collections.abc import Iterator, Mapping

from iommutui.core.kernel import Version, parse_release
from iommutui.core.models.base import Model

NAMES = ("kernel-ownership", "dma-hint", "vfio-group", "dma-owner")
"""In the order of their history. Each has a module of its name here, and in it the model as a constant."""


class _Models(Mapping[str, Model]):
    """Imports the requested model only: most runs need just one."""

    def __getitem__(self, name: str) -> Model:
        if name not in NAMES:
            raise KeyError(name)
        place = name.replace("-", "_")
        model: Model = getattr(__import__(f"{__name__}.{place}", fromlist=[place]), place.upper())
        return model

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


MODELS: Mapping[str, Model] = _Models()


def model_for(release: str | None) -> Model:
    """The model of a kernel release; without one, that of the newest kernels."""
    version = parse_release(release)
    return MODELS["vfio-group" if version is not None and version < Version(5, 19) else "dma-owner"]
