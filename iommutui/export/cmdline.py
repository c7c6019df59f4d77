"""Parameters of the kernel's command line, as each boot loader wants them, and the module for NixOS."""

from collections.abc import Callable

from iommutui.core.drivers import underscored
from iommutui.core.errors import RefusedError
from iommutui.export.base import Format, Subject, hex_ids, is_name
from iommutui.export.settings import id_parameters, left_out


def parameters(subject: Subject) -> list[str]:
    """``vfio-pci.ids=10de:2204,10de:1aef``, and what makes an initramfs of dracut load that driver first."""
    words = [f"{driver}.ids={ids}" for driver, ids in id_parameters(subject).items()]
    return [*words, *(f"rd.driver.pre={driver}" for driver in id_parameters(subject))]


def _line(pattern: str) -> Callable[[Subject], list[str]]:
    return lambda subject: [pattern.format(" ".join(parameters(subject)))]


def _rpm_ostree(subject: Subject) -> list[str]:
    return ["rpm-ostree kargs " + " ".join(f"--append-if-missing={word}" for word in parameters(subject))]


_EARLY = (
    "The driver has to come before the host's. dracut does that with rd.driver.pre; for mkinitcpio put vfio_pci first "
    "into MODULES of /etc/mkinitcpio.conf, for initramfs-tools into /etc/initramfs-tools/modules, and rebuild the "
    "initramfs. A driver that is built in comes first by itself."
)


def _notes(subject: Subject) -> list[str]:
    return [_EARLY, *left_out(subject)]


def _loader(
    name: str, title: str, where: str, undo: str, body: Callable[[Subject], list[str]], first: str = ""
) -> Format:
    return Format(name, title, where, "at the next boot.", undo, body, False, True, first, notes=_notes)


_NIX = """\
{ config, lib, ... }:
let
  script = %s
    for word in $(cat /proc/cmdline); do
      [ "$word" != iommutui.persist=0 ] || exit 0
    done
    override() { # ADDRESS IDS DRIVER
      cd "/sys/bus/pci/devices/$1" || return 0
      read -r vendor <vendor && read -r device <device
      if [ "$vendor $device" = "$2" ]; then
        echo "$3" >driver_override
      else
        echo "iommutui: another device is at $1" >/dev/kmsg
      fi
    }
%s
  %s;
  systemd = config.boot.initrd.systemd.enable;
in
{
  boot.initrd.availableKernelModules = [ %s];
  boot.initrd.preDeviceCommands = lib.mkIf (!systemd) "(\\n${script})\\n";
  boot.initrd.systemd.services.iommutui = lib.mkIf systemd {
    unitConfig.DefaultDependencies = false;
    wantedBy = [ "initrd.target" ];
    before = [ "systemd-modules-load.service" "systemd-udev-trigger.service" ];
    serviceConfig.Type = "oneshot";
    inherit script;
  };
}"""


def _nixos(subject: Subject) -> list[str]:
    calls, modules = [], []
    for device, goal in subject.moved:
        ids = hex_ids(device.vendor_id, device.device_id)
        if goal.override is None:
            continue
        if ids is None or not is_name(goal.override):
            raise RefusedError(f"The ids of {device.address} are not known, and the script has to check them.")
        calls.append(f'    override {device.address} "0x{ids.replace(":", " 0x")}" {goal.override}')
        modules += [goal.override] if goal.driver is not None else []
    names = "".join(f'"{underscored(module)}" ' for module in dict.fromkeys(modules))
    return (_NIX % ("''", "\n".join(calls), "''", names)).splitlines()


FORMATS = (
    _loader(
        "grub",
        "Kernel parameters for GRUB",
        "at the end of /etc/default/grub. Then run 'update-grub' (Debian, Ubuntu), or "
        "'grub2-mkconfig -o /boot/grub2/grub.cfg' or 'grub-mkconfig -o /boot/grub/grub.cfg'. On Fedora, whose entries "
        "are of their own: grubby --update-kernel=ALL --args='...'.",
        "remove the line and run the same command again. For one boot: press e in the menu, delete the words, Ctrl+X.",
        _line('GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {}"'),
    ),
    _loader(
        "systemd-boot",
        "Kernel parameters for systemd-boot",
        "in /boot/loader/entries/*.conf, as one more 'options' line of the entry. Where kernel-install or a unified "
        "kernel image makes the entries, put the words at the end of the line in /etc/kernel/cmdline instead, and "
        "rebuild them (kernel-install add-all, bootctl, mkinitcpio -P).",
        "take the line out again. For one boot: press e in the menu and delete the words.",
        _line("options {}"),
    ),
    _loader(
        "limine",
        "Kernel parameters for Limine",
        "in limine.conf, at the end of the entry's 'cmdline:' line. Where limine-entry-tool makes the entries, it is "
        "this line in /etc/default/limine, and then 'limine-update'.",
        "take the words out again. For one boot: press e in the menu and delete them.",
        _line('KERNEL_CMDLINE[default]+=" {}"'),
    ),
    _loader(
        "rpm-ostree",
        "Kernel parameters for rpm-ostree (Silverblue, Bazzite)",
        "a root shell.",
        "rpm-ostree kargs --delete-if-present=WORD, for each of the words; or boot the deployment before.",
        _rpm_ostree,
        "#!/bin/sh",
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
