#!/bin/sh
# Made by iommutui. For an initramfs of dracut without systemd.
/bin/sh /etc/iommutui/persist.sh
