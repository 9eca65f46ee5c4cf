# Boot systemd in its own namespaces, with the agent's unit only: systemd.sh UNITS PYTHON_HOME SOURCE
# The script cannot change the host: everything that is not private is read-only. test_systemd.py runs it.
set -eu
units=$1 python_home=$2 source=$3

mount --make-rprivate /
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for place in /proc/sys /etc; do
    mount --bind $place $place
    mount -o remount,bind,ro $place
done
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=755 bin /usr/local/bin
mkdir /usr/local/bin/python /usr/local/bin/source
mount --bind "$python_home" /usr/local/bin/python
mount --bind "$source" /usr/local/bin/source
cat > /usr/local/bin/metricat-agent <<'AGENT'
#!/bin/sh
here=/usr/local/bin
export PYTHONHOME=$here/python PYTHONPATH=$here/source PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=$here/python/lib
exec $here/python/bin/python3 -m metricat_agent "$@"
AGENT
chmod 755 /usr/local/bin/metricat-agent
ip link set lo up
mount --make-rshared / # as on a host: propagates the mounts of systemd to its services
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH="$units" \
    /lib/systemd/systemd --system --unit=multi-user.target --show-status=no
