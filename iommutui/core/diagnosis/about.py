"""What ``list`` and ``why`` would say of the devices and groups that a text names, in a few sentences."""

from collections.abc import Iterable, Iterator, Sequence

from iommutui.core.advice import no_iommu_advice
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import device_name, driver_words
from iommutui.core.models.base import Model
from iommutui.core.plan.presets import fix_for
from iommutui.core.reasons import Code, Reason
from iommutui.core.wording import sentence, verdict_sentence

MOST = 4
"""How many devices of a long text are described: the first ones."""


def about(host: Host, model: Model, devices: Sequence[Device], groups: Iterable[Group]) -> Iterator[str]:
    """Where each device is bound, whether its group can be handed over, and why not; without any, the IOMMU."""
    asked = {group.id: group for group in groups}
    for device in devices[:MOST]:
        on = f"{'on ' if device.driver else ''}{driver_words(host, device)}"
        yield f"{device.address} is {on}: {device_name(device)}."
        if device.details is not None and device.details.config_answers is False:
            yield f"{device.address} does not answer: its configuration space reads as all ones."
        group = host.group_of(device.address)
        if group is None:
            yield sentence(Reason(Code.NO_GROUP, device=device.address))
        else:
            asked.setdefault(group.id, group)
    for group in asked.values():
        verdict = model.verdict(host, group)
        yield verdict_sentence(host, group, verdict)
        yield from (sentence(reason) for reason in verdict.reasons)
        fix = () if verdict.viable or group.claim is not None else fix_for(host, group, None, model)
        if fix:
            yield f"'iommutui preview {' '.join(str(intent) for intent in fix)}' shows the smallest fix."
    yield from no_iommu_advice(host)
