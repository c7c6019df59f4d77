#!/bin/busybox sh
# The guest's first program: assembles the root directory and switches to it.
# The root is the host's, read-only through 9p, with a tmpfs above it for the guest's writes.

/bin/busybox mkdir -p /proc /sys /dev /host /job /top /root
/bin/busybox --install -s /bin
export PATH=/bin

give_up() {
    echo "guest: $1"
    echo b > /proc/sysrq-trigger
    sleep 60
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev

while read -r name; do
    insmod "/modules/$name.ko" || echo "guest: module $name not loaded"
done < /modules/order

nine_p=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o "ro,cache=loose,$nine_p" host /host || give_up "no access to the host's files"
# No cache: after a crash, the host must find everything that was written in the job directory.
mount -t 9p -o "rw,cache=none,access=any,$nine_p" job /job || give_up "no job directory"
. /job/guest.conf

mount -t tmpfs -o size=75%,mode=755 tmpfs /top
mkdir /top/files /top/work
cp -a /overlay/. /top/files/
mount -t overlay -o lowerdir=/host,upperdir=/top/files,workdir=/top/work overlay /root || give_up "no overlay"

release=$(uname -r)
mkdir -p "/root/usr/lib/modules/$release" "/root$JOB" /root/proc /root/sys /root/dev /root/run
mount --bind "/host$MODULES" "/root/usr/lib/modules/$release" || give_up "no modules"
for place in proc sys dev; do
    mount --move /$place /root/$place
done
mount --move /job "/root$JOB"
rm -rf /overlay /modules
exec switch_root /root /usr/sbin/iommutui-guest "$JOB"
