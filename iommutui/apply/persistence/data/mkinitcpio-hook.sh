#!/usr/bin/ash
# Made by iommutui. Runs before udev is triggered, and before MODULES are loaded.

run_earlyhook() {
    /bin/sh /etc/iommutui/persist.sh
}
