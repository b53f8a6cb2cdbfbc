#!/bin/busybox sh
# The first process of the machine with an IOMMU: loads all drivers, then goes over to its disk.
/bin/busybox mkdir -p /proc /sys /dev /root /sbin /usr/bin /usr/sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r file arguments; do insmod "/modules/$file" $arguments; done < /modules/order
until [ -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 /dev/vda /root
cp /second.sh /root/init
for each in proc sys dev; do mount --move "/$each" "/root/$each"; done
exec switch_root /root /init
