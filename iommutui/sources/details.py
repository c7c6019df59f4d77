"""Facts of a PCI function that are read where a person asks for them."""

from iommutui.core.address import Address
from iommutui.core.host import Bar, Details, Device
from iommutui.core.kernel import Version
from iommutui.sources.node import MALFORMED, Node

_RESET_METHOD_SINCE = Version(5, 15)


def read_details(node: Node, kernel: Version | None, config_answers: bool | None) -> Details:
    """The details of the function whose directory is ``node``."""
    return Details(
        numa_node=node.number("numa_node"),
        reset_methods=_reset_methods(node, kernel),
        power_state=node.text("power_state"),
        d3cold_allowed=node.flag("d3cold_allowed"),
        bars=_bars(node),
        sriov_totalvfs=node.number("sriov_totalvfs"),
        sriov_numvfs=node.number("sriov_numvfs"),
        link_speed=node.text("current_link_speed"),
        link_width=node.text("current_link_width"),
        max_link_speed=node.text("max_link_speed"),
        max_link_width=node.text("max_link_width"),
        config_answers=config_answers,
        irq=node.number("irq"),
    )


def _reset_methods(node: Node, kernel: Version | None) -> tuple[str, ...] | None:
    """From 5.15 a device without the file is one that cannot be reset; before, nothing shows it."""
    if "reset_method" not in node.present and kernel is not None and kernel >= _RESET_METHOD_SINCE:
        return ()
    text = node.text("reset_method")
    return None if text is None else tuple(text.split())


def _bars(node: Node) -> tuple[Bar, ...] | None:
    """The lines of ``resource`` that are in use: start, inclusive end and flags, all in hex."""
    text = node.text("resource")
    if text is None:
        return None
    found = []
    for number, line in enumerate(text.splitlines()):
        try:
            start, end, flags = (int(part, 16) for part in line.split())
        except ValueError:
            node.miss("resource", MALFORMED)
            return None
        if flags:
            found.append(Bar(number, start, max(end - start + 1, 0), flags))
    return tuple(found)


def without_guessed_resets(devices: dict[Address, Device]) -> dict[Address, Device]:
    """The devices, with their reset methods unknown where not one has any: then the files were not recorded."""
    if any(device.details is not None and device.details.reset_methods for device in devices.values()):
        return devices
    return {
        address: device._replace(details=device.details and device.details._replace(reset_methods=None))
        for address, device in devices.items()
    }
