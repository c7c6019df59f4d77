#!/bin/sh
# Prints what iommutui needs to know of this machine's PCI devices and IOMMU groups. It only reads, from /sys, /proc and
# /lib/modules, and writes nothing but its output:
#
#     sh capture.sh > machine.txt        and elsewhere: iommutui --from machine.txt
#
# As root it also sees the type of each PCI Express port. Serial numbers, MAC addresses, host and user names and disks
# are not read; values on the kernel's command line are shown only for the parameters named in "known" below. Nothing
# tells what the machine uses its devices for: 'iommutui snapshot' does, if you install it.
#
# The output: a directory in brackets, and below it its files as NAME=LINE (one for each line of the file), its links as
# NAME>TARGET, its directories as NAME/, and parts of binary files as NAME%OFFSET:HEX.

LC_ALL=C
export LC_ALL
cd "${1:-/}" || exit 1
[ -d sys/bus/pci/devices ] || { echo "There is no sys/bus/pci/devices here: this kernel has no PCI." >&2; exit 1; }

known='[a-z]*_iommu|iommu[a-z_.]*|pcie?[a-z_.]*|acpi[a-z_]*|vfio[-a-z_.]*|kvm[a-z_.]*|hugepages|default_hugepagesz'
known="$known|video|vga|efi|isolcpus|nohz_full|mem|mitigations|initcall_blacklist|module_blacklist|modprobe.blacklist"
known="$known|console|panic|loglevel|intremap|rd.driver.[a-z]*"

# Interfaces that are named by what they are and where; the others are named by people, and shown as net0.
interfaces='(eth|wlan|wwan|usb|ib|can|net)[0-9]{1,4}|(en|wl|ww|ib)(P[0-9]+)?[ops][0-9a-z]+|[a-z]{2,3}x0'

# The named files, links and directories of the directory that is current, as far as there are such.
show() {
    for name in "$@"; do
        if [ -L "$name" ]; then
            printf '%s>%s\n' "$name" "$(readlink "$name")"
        elif [ -d "$name" ]; then
            printf '%s/\n' "$name"
        elif [ -r "$name" ]; then
            any=
            while IFS= read -r line || [ -n "$line" ]; do
                any=1
                printf '%s=%s\n' "$name" "$line"
            done < "$name"
            [ -n "$any" ] || printf '%s=\n' "$name"
        fi
    done 2>/dev/null
}

# $2 bytes of the file config from $1 on, in hexadecimal.
bytes() {
    od -An -v -tx1 -j "$1" -N "$2" config 2>/dev/null | tr -d ' \n'
}

# The header of configuration space, and of the capabilities behind it only the PCI Express one and the way to it:
# some chips lock up when bytes that they do not define are read.
config() {
    header=$(bytes 0 64)
    printf 'config%%0:%s\n' "$header"
    case $(bytes 14 1) in 00 | 01 | 80 | 81) next=$(bytes 52 1) ;; *) next= ;; esac
    steps=0
    while [ -n "$next" ] && [ $((0x$next)) -ge 64 ] && [ "$steps" -lt 48 ]; do
        part=$(bytes $((0x$next & 252)) 4)
        [ "${#part}" -eq 8 ] || break
        printf 'config%%%s:%s\n' $((0x$next & 252)) "$part"
        case $part in 10*) break ;; esac
        next=${part#??}
        next=${next%????}
        steps=$((steps + 1))
    done
}

# Attributes of a device, of whatever bus.
device() (
    cd "$1" || return
    printf '[%s]\n' "$1"
    show class vendor device subsystem_vendor subsystem_device revision modalias driver_override boot_vga numa_node irq \
        power_state d3cold_allowed sriov_totalvfs sriov_numvfs max_link_speed max_link_width reset_method resource \
        driver subsystem iommu iommu_group physfn virtfn* vfio-dev vfio-dev/*
    for name in net/* virtio*/net/*; do
        [ -d "$name" ] && printf '%s/\n' "$name" |
            sed -E "s|([a-z]+x)[0-9a-f]{12}|\10|; /\/($interfaces)\/$/!s|[^/]+/$|net0/|"
    done
    # Reading these would wake a device that is powered down.
    if ! grep -qs D3cold power_state; then
        show current_link_speed current_link_width
        [ -r config ] && config
    fi
)

# Where a link in the directory that is current leads, from the top.
place() {
    (cd -P "$1" 2>/dev/null && pwd -P) | sed "s|^$top/*||"
}

top=$(pwd -P | sed 's|/$||')
echo "iommutui-capture 1"
echo "[proc]"
sed 's/ -- .*/ -- <redacted>/; s/=[^ ]*"[^"]*"[^ ]*/=<redacted>/g' proc/cmdline 2>/dev/null | tr ' ' '\n' |
    sed -E "/=/!b; /^($known)=/!s/=.*/=<redacted>/" | tr '\n' ' ' | sed 's/ *$//; s/^/cmdline=/; s/$/\n/'
grep -m1 -E '^vendor(_id)?[[:space:]]*:' proc/cpuinfo 2>/dev/null | sed 's/^/cpuinfo=/'
grep -qs -m1 '^flags.* hypervisor' proc/cpuinfo && echo 'cpuinfo=flags : hypervisor'
grep -Eo '(IR-)?(IO-APIC|PCI-MSI)' proc/interrupts 2>/dev/null | sort -u | sed 's/^/interrupts=/'
[ -r proc/xen/capabilities ] && (cd proc/xen && echo "[proc/xen]" && show capabilities)
[ -d sys/hypervisor ] && (cd sys/hypervisor && echo "[sys/hypervisor]" && show type)
[ -d sys/class/dmi/id ] && (cd sys/class/dmi/id && echo "[sys/class/dmi/id]" && show sys_vendor product_name)
echo "[proc/sys/kernel]"
[ -d proc/sys/kernel ] && (cd proc/sys/kernel && show osrelease)
echo "[sys/bus/pci/devices]"
(cd sys/bus/pci/devices && show ./* | sed 's|^\./||')
for link in sys/bus/pci/devices/*; do
    device "$(place "$link")"
done
for driver in sys/bus/pci/drivers/*; do
    [ -d "$driver" ] && (cd "$driver" && printf '[%s]\n' "$driver" && show module)
done
echo "[sys/kernel/iommu_groups]"
for group in sys/kernel/iommu_groups/*; do
    [ -d "$group" ] || continue
    (cd "$group" && printf '[%s]\n' "$group" && show name type reserved_regions)
    printf '[%s/devices]\n' "$group"
    (cd "$group/devices" && show ./* | sed 's|^\./||')
    for link in "$group"/devices/*; do
        [ -e "sys/bus/pci/devices/${link##*/}" ] || [ ! -e "$link" ] || device "$(place "$link")"
    done
done
if [ -d sys/class/iommu ]; then
    echo "[sys/class/iommu]"
    for unit in sys/class/iommu/*; do
        [ -d "$unit" ] && (cd "$unit" && printf '[%s]\n' "$unit" && show intel-iommu intel-iommu/cap amd-iommu)
    done
fi
echo "[sys/module]"
for module in sys/module/*; do
    [ -d "$module" ] && printf '%s/\n' "${module##*/}"
done
for module in vfio vfio_iommu_type1 iommufd; do
    [ -d "sys/module/$module/parameters" ] || continue
    (cd "sys/module/$module/parameters" && printf '[%s]\n' "sys/module/$module/parameters" &&
        show allow_unsafe_interrupts enable_unsafe_noiommu_mode)
done
for drivers in sys/module/*/drivers; do
    [ -d "$drivers" ] && (cd "$drivers" && printf '[%s]\n' "$drivers" && show ./pci:* | sed 's|^\./||')
done

# Of the modules' aliases those that the devices here can match.
release=$(cat proc/sys/kernel/osrelease 2>/dev/null)
makers=$(cat sys/bus/pci/devices/*/vendor 2>/dev/null | sort -u | sed 's|^0x|0000|' | tr 'a-f\n' 'A-F|')
for modules in lib/modules usr/lib/modules run/booted-system/kernel-modules/lib/modules; do
    [ -r "$modules/$release/modules.alias" ] || continue
    printf '[%s]\n' "$modules/$release"
    grep -E "^alias (vfio_)?pci:v(${makers}\\*)" "$modules/$release/modules.alias" | sed 's|^|modules.alias=|'
    tr '\0' '\n' < "$modules/$release/modules.builtin.modinfo" 2>/dev/null | grep -E '\.alias=(vfio_)?pci:' |
        sed 's|^|modules.builtin.modinfo=|'
    break
done
