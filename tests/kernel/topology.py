"""The PCI devices of a guest, as QEMU arguments.

The host bus is ``pcie.0`` of QEMU's q35 machine. Slots 0 and 0x1f belong to the machine; 0x1b to 0x1d have the
harness's own devices (see ``qemu.py``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

ROOT_BUS = "pcie.0"
Properties = Mapping[str, str | int]


@dataclass
class Board:
    """A machine under construction; ``arguments`` are for QEMU."""

    arguments: list[str] = field(default_factory=list)
    instead: Mapping[str, str] = field(default_factory=dict)
    """Models by the model that they replace."""
    _count: int = 0

    def device(self, model: str, properties: Properties | None = None) -> str:
        """Add one device and return its id."""
        self._count += 1
        name = f"dev{self._count}"
        settings = {"id": name, **(properties or {})}
        self.arguments += ["-device", ",".join([model, *(f"{key}={value}" for key, value in settings.items())])]
        return name

    def port(self, address: str, *, acs: bool = True, first_of_many: bool = False) -> str:
        """Add a PCIe root port and return the bus below it."""
        settings: dict[str, str | int] = {"bus": ROOT_BUS, "addr": address}
        # Chassis and slot together have to be unique.
        settings |= {"chassis": self._count + 1, "slot": self._count + 1}
        if not acs:
            settings["disable-acs"] = "on"
        if first_of_many:
            settings["multifunction"] = "on"
        return self.device("pcie-root-port", settings)

    def switch(self, above: str, ports: int) -> list[str]:
        """Add a PCIe switch, whose ports have no ACS in QEMU, and return the buses below it."""
        upstream = self.device("x3130-upstream", {"bus": above})
        return [
            self.device(
                "xio3130-downstream", {"bus": upstream, "addr": number, "chassis": 100 + number, "slot": number}
            )
            for number in range(ports)
        ]

    def bridge(self, model: str, above: str, address: str = "0", **properties: int) -> str:
        """Add any other kind of bridge and return the bus below it."""
        return self.device(model, {"bus": above, "addr": address, **properties})

    def card(self, bus: str, slot: str, *models: str) -> None:
        """Plug in one device with a function for each of ``models``."""
        for number, wanted in enumerate(models):
            model = self.instead.get(wanted, wanted)
            settings: dict[str, str | int] = {"bus": bus, "addr": f"{slot}.{number}"}
            if number == 0 and len(models) > 1:
                settings["multifunction"] = "on"
            ACCESSORIES.get(model, Board.device)(self, model, settings)

    def _sound(self, model: str, settings: Properties) -> str:
        controller = self.device(model, settings)
        # Without a codec the driver refuses the controller.
        self.device("hda-duplex", {"bus": f"{controller}.0", "audiodev": "silence"})
        return controller

    def _ac97(self, model: str, settings: Properties) -> str:
        return self.device(model, {**settings, "audiodev": "silence"})

    def _nvme(self, model: str, settings: Properties) -> str:
        medium = f"medium{self._count}"
        self.arguments += ["-blockdev", f"driver=null-co,node-name={medium},size=67108864,read-zeroes=on"]
        return self.device(model, {**settings, "serial": medium, "drive": medium})


ACCESSORIES: dict[str, Callable[[Board, str, Properties], str]] = {
    "ich9-intel-hda": Board._sound,
    "AC97": Board._ac97,
    "nvme": Board._nvme,
}


def simple(board: Board) -> None:
    """Every device alone in its group; one root port is empty."""
    models = ("VGA", "e1000e", "virtio-net-pci", "nvme", "ich9-intel-hda", "qemu-xhci", "e1000", "edu")
    for slot, model in enumerate((*models, "virtio-rng-pci"), start=1):
        board.card(ROOT_BUS, f"{slot:x}", model)
    board.card(board.port("a"), "0", "e1000e")
    board.card(board.port("b"), "0", "nvme")
    board.port("c")


def gpu(board: Board) -> None:
    """Graphics cards with several functions: behind a port with ACS, behind one without, and on the host bus."""
    board.card(ROOT_BUS, "1", "VGA")
    board.card(board.port("2"), "0", "bochs-display", "ich9-intel-hda", "qemu-xhci", "e1000e")
    board.card(board.port("3", acs=False), "0", "virtio-gpu-pci", "ich9-intel-hda")
    board.card(ROOT_BUS, "4", "bochs-display", "ich9-intel-hda", "qemu-xhci")
    board.card(ROOT_BUS, "5", "e1000e")
    board.card(board.port("6"), "0", "nvme")


def shared(board: Board) -> None:
    """Groups of unrelated devices: a conventional bus, ports without ACS, a switch, legacy bridges."""
    board.card(ROOT_BUS, "1", "VGA")
    conventional = board.bridge("pcie-pci-bridge", board.port("2"))
    for slot, model in enumerate(("e1000", "e1000", "AC97", "virtio-net-pci"), start=1):
        board.card(conventional, str(slot), model)
    ports = [board.port(f"3.{number}", acs=False, first_of_many=number == 0) for number in range(4)]
    below_switch = board.switch(board.port("4"), 3)
    for buses in (ports, below_switch):
        for bus, model in zip(buses, ("e1000e", "nvme", "qemu-xhci"), strict=False):
            board.card(bus, "0", model)
    legacy = board.bridge("i82801b11-bridge", ROOT_BUS, "5")
    deeper = board.bridge("pci-bridge", legacy, "1", chassis_nr=200)
    board.card(legacy, "2", "e1000")
    board.card(deeper, "1", "e1000")
    board.card(deeper, "2", "ich9-intel-hda")
    board.card(ROOT_BUS, "6", "e1000e")


def sriov(board: Board) -> None:
    """An NVMe controller that can have up to 7 virtual functions, and a network card."""
    board.card(ROOT_BUS, "1", "VGA")
    board.card(ROOT_BUS, "2", "e1000e")
    board.arguments += ["-device", "nvme-subsys,id=subsystem,nqn=subsystem"]
    # Two queue and one interrupt resource for each virtual function, the rest for the physical one.
    virtual = {"sriov_max_vfs": 7, "sriov_vq_flexible": 14, "sriov_vi_flexible": 7}
    physical = {"max_ioqpairs": 18, "msix_qsize": 19}
    board.device("nvme", {"bus": board.port("3"), "serial": "virtual", "subsys": "subsystem", **virtual, **physical})


TOPOLOGIES: dict[str, Callable[[Board], None]] = {f.__name__: f for f in (simple, gpu, shared, sriov)}


def arguments(name: str, iommu: str = "intel") -> list[str]:
    """Return QEMU's arguments for the topology called ``name``.

    QEMU's NVMe controller does not work behind its AMD IOMMU: it never answers its first command.
    """
    board = Board(instead={"nvme": "e1000e"} if iommu == "amd" else {})
    TOPOLOGIES[name](board)
    return ["-audiodev", "none,id=silence", *board.arguments]


def describe(name: str) -> str:
    """Return one line about the topology called ``name``."""
    return (TOPOLOGIES[name].__doc__ or "").strip()
