#!/bin/busybox sh
# What the machine with an IOMMU runs instead of systemd: libvirtd, started again when it ends, and a
# shell on the second serial port: a command a line, answered by its output, \001 and its exit status.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
for each in /run /tmp; do mount -t tmpfs tmpfs "$each"; done
mkdir -p /dev/shm /dev/pts /run/lock /etc/libvirt
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
hostname vfio
# libvirtd asks for its own name with every start of a guest, and nobody answers to DNS here.
echo '127.0.0.1 localhost vfio' > /etc/hosts
: > /etc/resolv.conf
for card in lo eth0; do busybox ip link set "$card" up; done
busybox ip address add 10.0.2.15/24 dev eth0
cat > /etc/libvirt/libvirtd.conf << 'END'
auth_unix_ro = "none"
auth_unix_rw = "none"
listen_tls = 0
listen_tcp = 1
auth_tcp = "none"
END
(
  until busybox netstat -ltn | grep -q :16509; do sleep 0.2; done
  echo "vfio rig is up" > /dev/ttyS0
  busybox stty raw -echo < /dev/ttyS1
  while :; do
    while read -r line; do
      sh -c "$line" > /tmp/said 2>&1 < /dev/null
      status=$?
      cat /tmp/said
      printf '\001%s\n' "$status"
    done < /dev/ttyS1 > /dev/ttyS1
  done
) &
# To wait for it is what makes a shell reap orphans: libvirtd waits for the last trace of each guest.
while :; do
  libvirtd --listen --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirtd.pid
  sleep 0.2
done > /dev/ttyS0 2>&1
