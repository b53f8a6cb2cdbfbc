#!/bin/busybox sh
# The first process of the machine with an IOMMU: loads all drivers, then goes over to its disk.
/bin/busybox mkdir -p /proc /sys /dev /newroot /sbin /usr/bin /usr/sbin
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r file arguments; do insmod "/modules/$file" $arguments; done < /modules/order
until [ -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 /dev/vda /newroot
cp /second.sh /newroot/init
mkdir -p /newroot/etc/libvirt
cp /qemu.conf /newroot/etc/libvirt/qemu.conf
for each in proc sys dev; do mount --move "/$each" "/newroot/$each"; done
exec switch_root /newroot /init
