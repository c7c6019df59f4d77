"""The models of the kernel's rules, one entry each."""

from collections.abc import Iterator, Mapping

from iommutui.core.kernel import Version, parse_release
from iommutui.core.models.base import Model

NAMES = ("kernel-ownership", "dma-hint", "vfio-group", "dma-owner")
"""In the order in which they were thought of."""


def _model(name: str) -> Model:
    match name:
        case "kernel-ownership":
            from iommutui.core.models.kernel_ownership import KERNEL_OWNERSHIP

            return KERNEL_OWNERSHIP
        case "dma-hint":
            from iommutui.core.models.dma_hint import DMA_HINT

            return DMA_HINT
        case "vfio-group":
            from iommutui.core.models.vfio_group import VFIO_GROUP

            return VFIO_GROUP
        case "dma-owner":
            from iommutui.core.models.dma_owner import DMA_OWNER

            return DMA_OWNER
    raise KeyError(name)


class _Models(Mapping[str, Model]):
    """Imports the model that is asked for: most runs need that of one kernel only."""

    def __getitem__(self, name: str) -> Model:
        return _model(name)

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)


MODELS: Mapping[str, Model] = _Models()


def model_for(release: str | None) -> Model:
    """The model of a kernel release; without one, that of the newest kernels."""
    version = parse_release(release)
    return MODELS["vfio-group" if version is not None and version < Version(5, 19) else "dma-owner"]
