#!/bin/busybox sh
# The first process of the tiny guest. The kernel's words `deaf` and `quiet-card` make it ignore its
# power button and its network card.
/bin/busybox mkdir -p /proc /sys /dev /etc/acpi/PWRF /usr/sbin /usr/bin /sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do insmod "/modules/$module"; done < /modules/order
words=" $(cat /proc/cmdline) "
ip link set lo up
case "$words" in
  *" quiet-card "*) ;;
  *) ip link set eth0 up && udhcpc -i eth0 -s /lease -n -q -t 20 -T 1 ;;
esac
case "$words" in
  *" deaf "*) ;;
  *) acpid -f -c /etc/acpi -l /dev/null > /dev/null 2>&1 &
    until ls -l "/proc/$!/fd" | grep -q /dev/input/; do sleep 0.1; done ;;
esac
while :; do echo SSH-2.0-tiny | nc -l -p 22; done > /dev/null 2>&1 &
echo "tiny guest is up" > /dev/console
while :; do sleep 3600; done
