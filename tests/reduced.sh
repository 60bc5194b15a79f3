#!/bin/sh
# Run a command as a container would run it: mounts, processes and network of its own, a small /dev,
# and of root's capabilities only those that docs/ci.md has. Nothing of it is left afterwards.
#
#     sh tests/reduced.sh .venv/bin/python -m netlab doctor
set -eu

needed='kill net_admin sys_admin sys_ptrace'
useful='net_bind_service net_raw sys_chroot syslog'
programs='chown dac_override setgid setpcap setuid'

if [ "${1-}" != --inside ]; then
    unified=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)
    group=$unified/netlab-reduced.$$
    if [ -n "$unified" ] && mkdir "$group" 2>/dev/null; then
        leave() {
            echo 0 > "$unified/cgroup.procs"
            find "$group" -depth -type d -exec rmdir {} +
        }
        trap leave EXIT
        trap 'exit 130' INT TERM HUP
        echo 0 > "$group/cgroup.procs"
    fi
    code=0
    unshare --mount --pid --fork --kill-child --net --uts --ipc --cgroup \
        sh "$0" --inside "$@" || code=$?
    exit $code
fi
shift

umount -l /proc
mount -t proc proc /proc
awk '$2 ~ "^/(run|sys)/" {print $2}' /proc/mounts | sort -ru | while read -r place; do
    umount -l "$place" 2>/dev/null || :  # it has just gone: the file below it was deleted
done
mount -t sysfs -o ro sysfs /sys
! grep -q '^0::/$' /proc/self/cgroup || mount -t cgroup2 cgroup2 /sys/fs/cgroup
! grep -q tracefs /proc/filesystems || mount -t tracefs tracefs /sys/kernel/tracing
mount -t tmpfs -o mode=0755 tmpfs /run

mkdir /run/dev
mount -t tmpfs -o mode=0755 tmpfs /run/dev
for device in null zero full random urandom tty net/tun; do
    [ -e "/dev/$device" ] || continue
    mkdir -p "/run/dev/$(dirname $device)"
    : > "/run/dev/$device"
    mount --bind "/dev/$device" "/run/dev/$device"
done
mkdir /run/dev/pts /run/dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts /run/dev/pts
mount -t tmpfs -o mode=1777 tmpfs /run/dev/shm
ln -s pts/ptmx /run/dev/ptmx
ln -s /proc/self/fd /run/dev/fd
for number in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${number%%:*}" "/run/dev/${number#*:}"
done
mount --move /run/dev /dev
rmdir /run/dev

ip link set lo up
words=-all
for name in $needed $useful $programs; do words=$words,+$name; done
exec setpriv --bounding-set "$words" --inh-caps=-all -- "$@"
