#!/bin/sh
# Made by iommutui. Sets the driver overrides that /etc/iommutui/persist.conf declares.
#
# It runs in the initramfs, before modules are loaded and before udev looks at any device, so that no other driver gets
# these devices first. With iommutui.persist=0 on the kernel command line it does nothing. What it does is in the kernel
# log ('dmesg | grep iommutui'). It is plain POSIX, and needs readlink and modprobe besides.

conf=/etc/iommutui/persist.conf
pci=/sys/bus/pci
cmdline=/proc/cmdline
log=/dev/kmsg

say() {
    echo "iommutui: $1" >"$log"
}

# The first line of an attribute, without its 0x.
value() {
    line=
    { read -r line <"$1"; } 2>/dev/null
    echo "${line#0x}"
}

driver_of() {
    link=$(readlink "$pci/devices/$1/driver") || link=none
    echo "${link##*/}"
}

set -f
read -r words <"$cmdline"
for word in $words; do
    if [ "$word" = iommutui.persist=0 ]; then
        say "iommutui.persist=0, so nothing is set"
        exit 0
    fi
done

# Every override comes first, and only where the declared device is still at its address.
ours=
modules=
while read -r address ids board target rest; do
    case $address in
    '' | '#'*) continue ;;
    esac
    device=$pci/devices/$address
    if [ ! -e "$device/vendor" ]; then
        say "$address: not in force, there is no such device"
    elif [ "$(value "$device/vendor"):$(value "$device/device")" != "$ids" ] || {
        [ "$board" != - ] &&
            [ "$(value "$device/subsystem_vendor"):$(value "$device/subsystem_device")" != "$board" ]
    }; then
        say "$address: not in force, another device is there"
    elif ! echo "$target" >"$device/driver_override"; then
        say "$address: not in force, the override cannot be written"
    else
        ours="$ours $address=$target"
        case $target in
        *vfio* | pci-stub) modules="$modules $target" ;;
        esac
    fi
done <"$conf"

for module in $modules; do
    modprobe -q "$module" || say "$module: no such module"
done

# A host driver that is built in has its devices already, and a VFIO driver that is built in has passed them by.
for each in $ours; do
    address=${each%%=*}
    target=${each#*=}
    driver=$(driver_of "$address")
    if [ "$driver" != none ] && [ "$driver" != "$target" ]; then
        say "$address: taken from $driver, which is built in"
        echo "$address" >"$pci/devices/$address/driver/unbind"
        driver=none
    fi
    if [ "$driver" = none ] && [ "$target" != none ]; then
        echo "$address" >"$pci/drivers_probe"
    fi
    driver=$(driver_of "$address")
    if [ "$driver" = "$target" ]; then
        say "$address: in force, $target"
    else
        say "$address: not in force yet, driver $driver, override $target"
    fi
done
exit 0
