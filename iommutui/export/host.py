"""What the host itself runs or reads: a script that rebinds at once, and settings for every boot.

The script checks the machine before each write and the ``driver`` link after it. The settings are those of driverctl,
modprobe.d and the kernel's command line, and a module for NixOS.
"""

from shlex import quote

from iommutui.core.drivers import underscored
from iommutui.core.errors import RefusedError
from iommutui.core.host import serves_host
from iommutui.core.plan.intents import NONE, restoring
from iommutui.core.plan.planner import Plan, plan_goals
from iommutui.export.base import Format, Subject, attributes, by_ids, data, is_name, refuse

# -- the script


def _script(subject: Subject) -> list[str]:
    refuse(subject.plan.refusals)
    host = subject.host
    devices = [device for device, goal in subject.moved if goal not in subject.plan.no_ops]
    back = plan_goals(
        subject.plan.predicted, [restoring(d.address, d.driver, d.driver_override) for d in devices], subject.model
    )
    start = [f"expect_driver {d.address} {quote(host.devices[d.address].driver or 'none')}" for d in devices]
    modules = [f"modprobe -- {quote(module)}" for module in subject.plan.modules]
    return [
        *data("rebind.sh").splitlines()[1:],
        *_function("apply", [*start, *modules, *_writes(subject.plan)]),
        *_function("revert", _writes(back)),
        "",
        *(f"expect_ids {device.address} '{attributes(device)}'" for device in devices),
        '[ "$(id -u)" = 0 ] || stop "only root can write to $pci"',
        "case ${1-apply} in",
        "apply | revert) ${1-apply} ;;",
        '*) stop "use apply or revert" ;;',
        "esac",
    ]


def _function(name: str, lines: list[str]) -> list[str]:
    return ["", f"{name}() {{", *(f"    {line}" for line in lines or [":"]), "}"]


def _writes(plan: Plan) -> list[str]:
    aims = {goal.device: "any" if goal.any_driver else goal.driver or "none" for goal in plan.goals}
    lines = []
    for step in plan.steps:
        if step.op == "override":
            lines.append(f"override {step.device} {quote(step.value or '')}")
        elif step.op == "unbind":
            lines.append(f"leave {step.device} {quote(step.value or '')}")
        else:
            lines.append(f"bind {step.device} {quote(aims[step.device])}")
    return lines


# -- driverctl


def _driverctl(subject: Subject) -> list[str]:
    return [
        f"driverctl unset-override {device.address}"
        if goal.override is None
        else f"driverctl set-override {device.address} {goal.override}"
        for device, goal in subject.moved
    ]


# -- by ids


def _id_parameters(subject: Subject) -> dict[str, str]:
    """``{"vfio-pci": "10de:2204,10de:1aef"}``. Raises RefusedError if no target of the plan takes ids."""
    found: dict[str, list[str]] = {}
    for each in by_ids(subject):
        found.setdefault(each.driver, []).append(each.ids)
    if not found:
        raise RefusedError(
            "Only vfio-pci and pci-stub can be set by ids, and no device of this plan goes to them.",
            "'iommutui persist' makes any other target last.",
        )
    return {driver: ",".join(dict.fromkeys(ids)) for driver, ids in found.items()}


def _modprobe(subject: Subject) -> list[str]:
    lines: list[str] = []
    modules = {driver.name: driver.module for driver in subject.host.drivers or ()}
    for driver, ids in _id_parameters(subject).items():
        names: list[str | None] = []
        for device in (each.device for each in by_ids(subject) if each.driver == driver):
            if serves_host(subject.host, device, device.driver):
                names.append(modules.get(device.driver or "") or device.driver)
            names += [fit.module for fit in device.fits or () if not fit.vfio and not fit.refused]
        hosts = dict.fromkeys(underscored(name) for name in names if name is not None and is_name(name))
        lines.append(f"options {driver} ids={ids}")
        lines += [f"softdep {name} pre: {driver}" for name in hosts if name != underscored(driver)]
    return lines


_EARLY = (
    "The driver has to load before the host driver. dracut does that with rd.driver.pre; for mkinitcpio put vfio_pci "
    "first into MODULES of /etc/mkinitcpio.conf, for initramfs-tools into /etc/initramfs-tools/modules, and rebuild "
    "the initramfs. A built-in driver comes first anyway."
)


def _kernel(name: str, loader: str, where: str, undo: str, line: str, *, word: str = "{}", first: str = "") -> Format:
    """``vfio-pci.ids=10de:2204,10de:1aef``, and the parameter that makes dracut load that driver first."""

    def body(subject: Subject) -> list[str]:
        found = _id_parameters(subject)
        words = [f"{driver}.ids={ids}" for driver, ids in found.items()] + [f"rd.driver.pre={each}" for each in found]
        return [line.format(" ".join(map(word.format, words)))]

    title = f"Kernel parameters for {loader}"
    return Format(name, title, where, "at the next boot.", undo, body, False, True, first, notes=(_EARLY,))


# -- NixOS


def _nixos(subject: Subject) -> list[str]:
    goals = [(device, goal.override) for device, goal in subject.moved if goal.override is not None]
    calls = [f'    override {device.address} "{attributes(device)}" {name}' for device, name in goals]
    modules = dict.fromkeys(f'"{underscored(name)}" ' for _, name in goals if name != NONE)
    return data("nixos.nix").replace("@calls@", "\n".join(calls)).replace("@modules@", "".join(modules)).splitlines()


FORMATS = (
    Format(
        "shell",
        "A script that rebinds PCI devices, and reverts it",
        "a file, run by root as 'sh FILE' or 'sh FILE apply'.",
        "at once, and until the next boot.",
        "sh FILE revert",
        _script,
        vm=False,
        first="#!/bin/sh",
    ),
    Format(
        "driverctl",
        "Overrides that driverctl sets at every boot",
        "a root shell; driverctl keeps them in /etc/driverctl.d.",
        "at once and at every boot, but only after the host driver has had the device: not early enough for a display.",
        "driverctl --noprobe unset-override ADDRESS, for every address below, and a reboot.",
        _driverctl,
        vm=False,
        first="#!/bin/sh",
        notes=(
            "driverctl 0.115 also gives vfio-pci the ids of the device: a second card of the same kind that is on no "
            "driver may go to vfio-pci with it.",
        ),
    ),
    Format(
        "modprobe.d",
        "Options of vfio-pci for modprobe",
        "/etc/modprobe.d/iommutui-vfio.conf. Then rebuild the initramfs: 'update-initramfs -u' (Debian, Ubuntu), "
        "'dracut -f' (Fedora), 'mkinitcpio -P' (Arch). A driver that is built into the kernel ignores the file: use "
        "the kernel's command line for it.",
        "at the next boot.",
        "remove the file and rebuild the initramfs.",
        _modprobe,
        vm=False,
        by_ids=True,
    ),
    _kernel(
        "grub",
        "GRUB",
        "at the end of /etc/default/grub. Then run 'update-grub' (Debian, Ubuntu) or 'grub-mkconfig -o "
        "/boot/grub/grub.cfg'. On Fedora, which keeps its own entries: grubby --update-kernel=ALL --args='...'.",
        "remove the line and run the same command again. For one boot: press e in the menu, delete the words, Ctrl+X.",
        'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {}"',
    ),
    _kernel(
        "systemd-boot",
        "systemd-boot",
        "in /boot/loader/entries/*.conf, as one more 'options' line of the entry. Where kernel-install or mkinitcpio "
        "makes the entries, put the words into /etc/kernel/cmdline instead, and let it make them again.",
        "take the line out again. For one boot: press e in the menu and delete the words.",
        "options {}",
    ),
    _kernel(
        "limine",
        "Limine",
        "in limine.conf, at the end of the entry's 'cmdline:' line. Where limine-entry-tool makes the entries, it is "
        "this line in /etc/default/limine, and then 'limine-update'.",
        "take the words out again. For one boot: press e in the menu and delete them.",
        'KERNEL_CMDLINE[default]+=" {}"',
    ),
    _kernel(
        "rpm-ostree",
        "rpm-ostree (Silverblue, Bazzite)",
        "a root shell.",
        "rpm-ostree kargs --delete-if-present=WORD, for each of the words; or boot the previous deployment.",
        "rpm-ostree kargs {}",
        word="--append-if-missing={}",
        first="#!/bin/sh",
    ),
    Format(
        "nixos",
        "A NixOS module that binds by address in the initrd",
        "a file such as /etc/nixos/iommutui.nix that the imports of configuration.nix name; then 'nixos-rebuild boot'.",
        "at the next boot, before udev loads the host drivers (not before what boot.initrd.kernelModules names).",
        "take it out of imports and rebuild; or boot an older generation. For one boot: iommutui.persist=0 as a kernel "
        "parameter.",
        _nixos,
        vm=False,
    ),
)
