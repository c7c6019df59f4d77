"""The models of the kernel's rules, one entry each."""

from iommutui.core.kernel import Version, parse_release
from iommutui.core.models.base import Model
from iommutui.core.models.dma_hint import DMA_HINT
from iommutui.core.models.dma_owner import DMA_OWNER
from iommutui.core.models.kernel_ownership import KERNEL_OWNERSHIP
from iommutui.core.models.vfio_group import VFIO_GROUP

MODELS: dict[str, Model] = {model.name: model for model in (KERNEL_OWNERSHIP, DMA_HINT, VFIO_GROUP, DMA_OWNER)}
"""In the order in which they were thought of."""


def model_for(release: str | None) -> Model:
    """The model of a kernel release; without one, that of the newest kernels."""
    version = parse_release(release)
    return VFIO_GROUP if version is not None and version < Version(5, 19) else DMA_OWNER
