#!/bin/sh
# Made by iommutui. A hook of initramfs-tools: see initramfs-tools(7).

PREREQ=""
prereqs() {
    echo "$PREREQ"
}
case $1 in
prereqs)
    prereqs
    exit 0
    ;;
esac

# shellcheck source=/dev/null
. /usr/share/initramfs-tools/hook-functions

copy_file config /etc/iommutui/persist.conf
copy_file script /etc/iommutui/persist.sh
grep -v '^#' /etc/iommutui/persist.conf | while read -r _ _ _ target _; do
    case $target in
    *vfio* | pci-stub) manual_add_modules "$target" ;;
    esac
done
