# Made by iommutui. Runs before MODULES are loaded and before devices are triggered: see mkinitcpio(8), run_earlyhook.
# shellcheck shell=dash

run_earlyhook() {
    /bin/sh /etc/iommutui/persist.sh
}
