#!/bin/sh
# The script in many guides: one lspci for each device. $1 is a sysfs.
for group in $(find "$1"/kernel/iommu_groups/* -maxdepth 0 -type d | sort -V); do
    echo "IOMMU Group ${group##*/}:"
    for device in "$group"/devices/*; do
        printf '\t%s\n' "$(lspci -O sysfs.path="$1"/bus/pci -nns "${device##*/}")"
    done
done
