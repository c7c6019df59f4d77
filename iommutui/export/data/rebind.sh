# shellcheck shell=sh disable=SC2317
set -eu
pci=/sys/bus/pci

stop() {
    echo "$0: $1" >&2
    exit 1
}
driver_of() {
    link=$(readlink "$pci/devices/$1/driver") || link=none
    echo "${link##*/}"
}
expect_ids() { # ADDRESS IDS
    read -r vendor <"$pci/devices/$1/vendor" || stop "there is no device at $1"
    read -r device <"$pci/devices/$1/device"
    [ "$vendor $device" = "$2" ] || stop "another device is at $1"
}
expect_driver() { # ADDRESS DRIVER
    [ "$(driver_of "$1")" = "$2" ] || stop "$1 is on $(driver_of "$1"), not on $2; see '$0 revert'"
}
override() { # ADDRESS DRIVER, or an empty word to clear it
    printf '%s\n' "$2" >"$pci/devices/$1/driver_override"
}
leave() { # ADDRESS DRIVER
    [ "$(driver_of "$1")" = "$2" ] || return 0
    printf '%s' "$1" >"$pci/drivers/$2/unbind"
    expect_driver "$1" none
}
bind() { # ADDRESS DRIVER, or 'any'
    [ "$(driver_of "$1")" != "$2" ] || return 0
    printf '%s' "$1" >"$pci/drivers_probe"
    [ "$2" = any ] || expect_driver "$1" "$2"
}
