#!/bin/bash
# Made by iommutui. An install hook of mkinitcpio: see mkinitcpio(8).

build() {
    local each target
    while read -r _ _ _ target _; do
        [[ $target == *vfio* || $target == pci-stub ]] && add_module "${target}?"
    done < <(grep -v '^#' /etc/iommutui/persist.conf)

    add_file /etc/iommutui/persist.conf
    add_file /etc/iommutui/persist.sh /etc/iommutui/persist.sh 755

    # An image without the hook "base" has none of these.
    for each in sh readlink modprobe; do
        # shellcheck disable=SC2154 # mkinitcpio sets it
        [[ -e $BUILDROOT/usr/bin/$each || -L $BUILDROOT/usr/bin/$each ]] || add_binary "$each"
    done

    # For an init of systemd; the runtime hook is for that of busybox.
    add_file /etc/iommutui/iommutui-persist.service /usr/lib/systemd/system/iommutui-persist.service 644
    add_symlink /usr/lib/systemd/system/initrd.target.wants/iommutui-persist.service ../iommutui-persist.service
    add_runscript
}

help() {
    echo "Sets the driver overrides that /etc/iommutui/persist.conf declares, before udev looks at any device."
}
