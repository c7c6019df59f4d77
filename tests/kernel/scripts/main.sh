#!/usr/bin/busybox sh
# The guest's second program, in its final root directory: starts udev, runs the command, and ends the guest.

job=$1
b=/usr/bin/busybox
patience=1200
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux
. "$job/guest.conf"

stamp() {
    read -r uptime rest < /proc/uptime
    echo "$1 $uptime" >> "$job/timing"
}

# Only sysfs shows the name of a virtio serial port.
port() {
    for place in /sys/class/virtio-ports/*; do
        read -r name < "$place/name"
        if [ "$name" = "$1" ]; then
            echo "/dev/${place##*/}"
        fi
    done
}

stamp root
$b mount -t tmpfs -o mode=755 tmpfs /run
$b mkdir -p /dev/pts /dev/shm /run/tmp /run/lock
$b chmod 1777 /run/tmp
$b mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
$b mount -t tmpfs -o mode=1777 tmpfs /dev/shm
$b mount -t debugfs debugfs /sys/kernel/debug
$b ln -sfn /proc/self/fd /dev/fd
$b ln -sf fd/0 /dev/stdin
$b ln -sf fd/1 /dev/stdout
$b ln -sf fd/2 /dev/stderr
$b hostname iommutui-guest
$b ip link set lo up

if [ -n "$UDEV" ]; then
    # A guest on a busy machine may need many minutes. A driver that loads while the tests run would look like a failure
    # of the tests, so end the guest rather than begin too early.
    /usr/lib/systemd/systemd-udevd --daemon --resolve-names=never --event-timeout=$patience
    # The tests use no other devices, and triggering those would take long.
    udevadm trigger --action=add --subsystem-match=pci --subsystem-match=virtio
    if ! udevadm settle --timeout=$patience; then
        echo "guest: drivers were not loaded within $patience s" > /dev/kmsg
        $b dmesg > "$job/dmesg"
        echo b > /proc/sysrq-trigger
        $b sleep 60
    fi
fi
stamp udev
for module in $PRELOAD; do
    modprobe "$module" || echo "guest: module $module not loaded" > /dev/kmsg
done

stamp command
if [ -n "$TTY" ]; then
    # The terminal forgets its size when no process has it open.
    exec 3<> /dev/hvc0
    $b stty -F /dev/hvc0 rows "$ROWS" cols "$COLUMNS"
    $b setsid -c $b sh "$job/guest.sh" < /dev/hvc0 > /dev/hvc0 2>&1 3>&-
    status=$?
else
    # Programs get pipes: unlike the ports, they can be opened more than once (as /dev/stdout).
    $b mkfifo /run/stdout /run/stderr
    $b cat /run/stdout > "$(port out)" &
    out=$!
    $b cat /run/stderr > "$(port err)" &
    err=$!
    $b sh "$job/guest.sh" < /dev/null > /run/stdout 2> /run/stderr
    status=$?
    # A process that the command left behind may keep the pipes open forever.
    tries=0
    while [ $tries -lt 30 ] && { kill -0 $out || kill -0 $err; } 2> /dev/null; do
        $b sleep 0.1
        tries=$((tries + 1))
    done
fi
stamp end
$b dmesg > "$job/dmesg"
echo $status > "$job/status"
# Not a clean shutdown, which would wait for devices that a test left stuck.
echo b > /proc/sysrq-trigger
$b sleep 60
