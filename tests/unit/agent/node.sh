# Usage: node.sh OUT PYTHON_HOME SOURCE PROPAGATION. Simulates a node, as its process 1, with a pod that runs the agent.
# The directory OUT receives the values that the node reports and the scrapes of the agent in the pod. Run by test_pod.py.
set -eu
out=$1 python_home=$2 source=$3 propagation=$4

mount --make-rshared / # as systemd does
mount -t proc proc /proc
mount -t sysfs sysfs /sys
hostname the-node
ip link set lo up
ip link add wire0 type veth peer name wire1
ip link set wire0 mtu 1400 up
ip link set wire1 up
"$python_home/bin/python3" -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"x" * 900, ("127.0.0.1", 9))'
mount -t tmpfs -o mode=755 node /mnt
mkdir -p /mnt/pod "/mnt/with blank" /mnt/read-only /mnt/late /mnt/closed
mount -t tmpfs -o size=3m data "/mnt/with blank"
mount -t tmpfs -o ro,size=4m,mode=755 fixed /mnt/read-only
chmod 700 /mnt/closed
mkdir /mnt/closed/inner
mount -t tmpfs -o size=6m secret /mnt/closed/inner
mkfifo /mnt/ready /mnt/go

cat > /mnt/pod.sh <<'POD'
set -eu
out=$1 python_home=$2 source=$3
pod=/mnt/pod
hostname the-pod
mount -t tmpfs -o mode=755 pod $pod
mkdir -p $pod/proc $pod/sys $pod/python $pod/agent $pod/host/proc $pod/host/sys $pod/host/root
for name in bin lib lib64 usr etc; do
    if [ -L /$name ]; then cp -P /$name $pod/$name
    elif [ -d /$name ]; then mkdir $pod/$name; mount --bind /$name $pod/$name; fi
done
mount --bind "$python_home" $pod/python
mount --bind "$source" $pod/agent
mount --rbind / $pod/host/root
mount -o remount,bind,ro $pod/host/root
mount --bind /proc $pod/host/proc
mount --bind /sys $pod/host/sys
mount -t proc proc $pod/proc
mount -t sysfs sysfs $pod/sys
echo ready > /mnt/ready
read -r _ < /mnt/go
agent() {
    NODE_NAME=node-7 PYTHONHOME=/python PYTHONPATH=/agent PYTHONDONTWRITEBYTECODE=1 \
        chroot $pod setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all --inh-caps -all \
        --no-new-privs /python/bin/python3 -m metricat_agent --once --path.procfs=/host/proc --path.rootfs=/host/root "$@"
}
agent --path.sysfs=/host/sys > "$out/metrics" 2> "$out/log"
agent --path.sysfs=/sys > "$out/metrics.pod-sysfs" 2> "$out/log.pod-sysfs"
POD

unshare --mount --net --uts --ipc --pid --fork --propagation "$propagation" \
    sh /mnt/pod.sh "$out" "$python_home" "$source" &
read -r _ < /mnt/ready
mount -t tmpfs -o size=5m late /mnt/late
cat /proc/1/net/dev > "$out/net-dev-before"
cat /proc/stat > "$out/stat-before"
echo go > /mnt/go
wait $!
cat /proc/1/net/dev > "$out/net-dev-after"
cat /proc/stat > "$out/stat-after"
PYTHONHOME=$python_home PYTHONPATH=$source PYTHONDONTWRITEBYTECODE=1 \
    "$python_home/bin/python3" -m metricat_agent --once > "$out/metrics.root"
