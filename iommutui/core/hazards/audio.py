"""What a person hears."""

from collections.abc import Iterator, Sequence

from iommutui.core.hazards.base import INFO, WARN, Hazard, HazardCheck, Kind, Topic, listed, unbound, unknown
from iommutui.core.host import Host
from iommutui.core.plan.intents import Goal

PLAYING = Kind(
    "audio-playing", Topic.AUDIO, "sound that is being played or recorded", (WARN, INFO),
    "Stop it or choose another output first; a program that keeps the card open can make the unbind wait.",
    says="Sound is being played or recorded on {device} ({streams}[; held open by {who}]).",
    asks="whether {device} plays sound",
)  # fmt: skip
OPEN = Kind(
    "audio-open", Topic.AUDIO, "a sound card that programs have open", (INFO,),
    "Sound servers usually release it by themselves; if the unbind waits, stop PipeWire or PulseAudio.",
    says="The sound card {device} is held open by {who}.",
)  # fmt: skip


def sounds(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Sound cards in use."""
    why = unknown(host, "sounds")
    for device in unbound(host, goals):
        own = [s for s in host.uses.sounds if s.device == device.address] if host.uses is not None else []
        playing = [f"{sound.card} {stream}" for sound in own for stream in sound.playing]
        openers = host.uses.openers_of(device.address) if host.uses is not None and own else ()
        who = listed(opener.name for opener in openers if opener.name)
        if playing:
            yield PLAYING.of(device, WARN, (("streams", listed(playing)), ("who", who)))
        elif openers:
            yield OPEN.of(device, INFO, (("who", who or "a process"),))
        elif why and (own or (device.class_code or "").startswith("0403")):
            yield PLAYING.of(device, INFO, unknown=why)


CHECKS = (HazardCheck(sounds, (PLAYING, OPEN)),)
