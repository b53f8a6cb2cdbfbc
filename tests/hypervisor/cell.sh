# The first process of new namespaces: keeps a libvirtd whose files, network and processes are its own.
# $1 is the directory that it keeps all in, $2 the driver's configuration. libvirtd may be killed, and is started again; its machines
# live on, as they do on a real host.
set -eu
home=$1
cd "$home"
mount --make-rprivate /
for each in etc/libvirt var/lib/libvirt run/libvirt var/log/libvirt var/cache/libvirt; do
  mkdir -p "/$each" "$home/$each"
  mount --bind "$home/$each" "/$each"
done
# The driver insists on this user, whatever its configuration says.
for each in passwd group; do cp "/etc/$each" "$home/$each"; done
grep -q ^libvirt-qemu: passwd || echo 'libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin' >> passwd
grep -q ^libvirt-qemu: group || echo 'libvirt-qemu:x:64055:' >> group
for each in passwd group; do mount --bind "$home/$each" "/etc/$each"; done
# /sys/class/net is that of the namespace in which sysfs was mounted.
mkdir -p "$home/cgroup"
mount --rbind /sys/fs/cgroup "$home/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$home/cgroup" /sys/fs/cgroup
ip link set lo up
cat > /etc/libvirt/libvirtd.conf << 'END'
auth_unix_ro = "none"
auth_unix_rw = "none"
END
cp "$2" /etc/libvirt/qemu.conf
while :; do
  libvirtd --config /etc/libvirt/libvirtd.conf --pid-file "$home/libvirtd.pid" || true
  sleep 0.2
done
