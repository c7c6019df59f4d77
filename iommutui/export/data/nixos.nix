{ config, lib, ... }:
let
  script = ''
    for word in $(cat /proc/cmdline); do
      [ "$word" != iommutui.persist=0 ] || exit 0
    done
    override() { # ADDRESS IDS DRIVER
      cd "/sys/bus/pci/devices/$1" || return 0
      read -r vendor <vendor && read -r device <device
      if [ "$vendor $device" = "$2" ]; then
        echo "$3" >driver_override
        modprobe -q "$3" || true
        [ -e driver ] || echo "$1" >/sys/bus/pci/drivers_probe
      else
        echo "iommutui: another device is at $1" >/dev/kmsg
      fi
    }
@calls@
  '';
  systemd = config.boot.initrd.systemd.enable;
in
{
  boot.initrd.availableKernelModules = [ @modules@];
  boot.initrd.preDeviceCommands = lib.mkIf (!systemd) "(\n${script})\n";
  boot.initrd.systemd.services.iommutui = lib.mkIf systemd {
    unitConfig.DefaultDependencies = false;
    wantedBy = [ "initrd.target" ];
    before = [ "systemd-modules-load.service" "systemd-udevd.service" "systemd-udev-trigger.service" ];
    serviceConfig.Type = "oneshot";
    inherit script;
  };
}
