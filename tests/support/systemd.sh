# Boot systemd in its own namespaces, with the given units only: systemd.sh UNITS PYTHON_HOME SOURCES...
# The script cannot change the host: everything that is not private is read-only. support/systemd.py runs it.
set -eu
units=$1 python_home=$2
shift 2

mount --make-rprivate /
mount -t proc proc /proc
mount -t cgroup2 cgroup2 /sys/fs/cgroup
for place in /proc/sys /etc; do
    mount --bind $place $place
    mount -o remount,bind,ro $place
done
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=755 lib /var/lib
mount -t tmpfs -o mode=755 log /var/log
mount -t tmpfs -o mode=755 bin /usr/local/bin
here=/usr/local/bin
mkdir $here/python
mount --bind "$python_home" $here/python
path=
for source; do # sources stay where they are changed: an upgrade replaces them
    mkdir -p "$here/source/$(basename "$source")-$#"
    mount --bind "$source" "$here/source/$(basename "$source")-$#"
    path=${path:+$path:}$here/source/$(basename "$source")-$#
    shift
done
for program in metricat_agent metricat_cli; do
    cat > $here/$program <<PROGRAM
#!/bin/sh
export PYTHONHOME=$here/python PYTHONPATH=$path PYTHONDONTWRITEBYTECODE=1 LD_LIBRARY_PATH=$here/python/lib
exec $here/python/bin/python3 -m $program "\$@"
PROGRAM
    chmod 755 $here/$program
done
mv $here/metricat_agent $here/metricat-agent
mv $here/metricat_cli $here/metricat
ip link set lo up
mount --make-rshared / # as on a host: propagates the mounts of systemd to its services
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_UNIT_PATH="$units" \
    /lib/systemd/systemd --system --unit=multi-user.target --show-status=no
