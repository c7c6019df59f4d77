"""What commands make of the options that they share."""

import argparse
import re
from typing import TYPE_CHECKING

from iommutui.config import read_config, take_effect
from iommutui.core.errors import UsageError
from iommutui.core.host import Host
from iommutui.core.models import MODELS, model_for
from iommutui.core.models.base import Model
from iommutui.sources import Depth, load

if TYPE_CHECKING:
    from iommutui.core.intents import Intent


def read_host(options: argparse.Namespace, depth: Depth = Depth.FULL) -> Host:
    """The machine that ``--from``, ``--demo`` and ``--kernel`` name. The user's settings are in force from here on."""
    take_effect(read_config())
    if options.kernel is not None and re.match(r"\d+\.\d+", options.kernel) is None:
        raise UsageError(f"{options.kernel!r} is not a kernel release.", "Write it as 'uname -r' does: 6.1.0-13-amd64.")
    if options.demo and options.source is not None:
        raise UsageError("--demo and --from are two machines.", "Leave one of them away.")
    if options.demo:
        from iommutui.demo import demo_host

        host = demo_host()
        return host if options.kernel is None else host._replace(kernel=options.kernel)
    if options.source is not None:
        return load(options.source, kernel=options.kernel, depth=depth)
    from iommutui.sources.session import session_address

    return load(kernel=options.kernel, depth=depth, session=session_address())


def chosen_model(options: argparse.Namespace, host: Host) -> Model:
    """The model of ``--model``, else that of the Host's kernel."""
    if options.model is None:
        return model_for(host.kernel)
    if options.model not in MODELS:
        raise UsageError(f"There is no model {options.model!r}.", f"The models are {', '.join(MODELS)}.")
    return MODELS[options.model]


def parse_intents(host: Host, words: list[str]) -> "list[Intent]":
    """``DEVICE=TARGET`` words as intents, each device at most once."""
    from iommutui.core.intents import Intent
    from iommutui.core.query import find_device

    intents: dict[str, Intent] = {}
    for word in words:
        device_text, equals, target = word.rpartition("=")
        if not equals or not device_text or not target:
            raise UsageError(f"{word!r} is not DEVICE=TARGET.", "For example 01:00.0=vfio-pci, or 01:00.1=none.")
        device = find_device(host, device_text)
        if device.address in intents and intents[device.address].target != target:
            raise UsageError(f"{device.address} is given two targets.", "Name each device once.")
        intents[device.address] = Intent(device.address, target)
    return list(intents.values())
