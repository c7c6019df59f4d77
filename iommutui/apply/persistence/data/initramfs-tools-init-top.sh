#!/bin/sh
# Made by iommutui. A boot script of initramfs-tools: see initramfs-tools(7). It has no prerequisites, and of such
# scripts tsort(1) takes those first whose names come first: this one before "udev", which triggers the devices.

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

/bin/sh /etc/iommutui/persist.sh
