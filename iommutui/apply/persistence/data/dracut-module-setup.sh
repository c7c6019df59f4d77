#!/bin/bash
# Made by iommutui. A module of dracut: see dracut.modules(7).

check() {
    [[ -e /etc/iommutui/persist.conf ]]
}

depends() {
    return 0
}

installkernel() {
    local target
    while read -r _ _ _ target _; do
        # Without hostonly, because what is to be bound need not be bound now.
        [[ $target == *vfio* || $target == pci-stub ]] && hostonly='' instmods "$target"
    done < <(grep -v '^#' /etc/iommutui/persist.conf)
    return 0
}

install() {
    inst_multiple /etc/iommutui/persist.conf /etc/iommutui/persist.sh sh readlink modprobe
    if dracut_module_included systemd; then
        # shellcheck disable=SC2154 # dracut sets these
        inst_simple "$moddir/iommutui-persist.service" "$systemdsystemunitdir/iommutui-persist.service"
        # shellcheck disable=SC2154
        $SYSTEMCTL -q --root "$initdir" add-wants initrd.target iommutui-persist.service
    else
        inst_hook pre-udev 00 "$moddir/pre-udev.sh"
    fi
}
