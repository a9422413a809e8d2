#!/bin/bash
# Make the root file system of a Python image from this machine's own Python and libc, without any download:
#   base_image.sh PYTHON FOLDER
# It has what an unmodified Dockerfile `FROM python:X.Y-slim` with `RUN pip install` needs, not more.
set -eu
python=$1 root=$2
ask() { "$python" -c "import sys, sysconfig; print($1)"; }
version=$(ask '"%d.%d" % sys.version_info[:2]') prefix=$(ask sys.base_prefix) lib=$(ask 'sysconfig.get_path("stdlib")')
name=python$version

rm -rf "$root"
mkdir -p "$root"/{bin,usr/bin,usr/lib,usr/lib64,etc/ssl/certs,tmp,root,home,proc,sys,dev,var/tmp,opt/python/bin,opt/python/lib}
chmod 1777 "$root/tmp" "$root/var/tmp"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"
ln -s /opt/python "$root/usr/local"

# Python without its tests and its windows, but compiled: what no container can write, each would compile.
cp -L "$prefix/bin/$name" "$root/opt/python/bin/$name"
ln -s "$name" "$root/opt/python/bin/python3"
ln -s "$name" "$root/opt/python/bin/python"
tar -C "$(dirname "$lib")" --exclude="$name/test" --exclude="$name/idlelib" --exclude="$name/tkinter" \
    --exclude="$name/turtledemo" --exclude="$name/lib2to3" --exclude="$name/config-*" \
    --exclude="$name/site-packages/*" --exclude="$name/dist-packages/*" --exclude='*/tests' \
    --exclude='_tkinter*' --exclude='_test*.so' -cf - "$name" | tar -C "$root/opt/python/lib" -xf -
mkdir -p "$root/opt/python/lib/$name/site-packages"
# Debian's own Python looks for packages elsewhere, installs what it is asked for elsewhere again, and asks not to be
# asked.
rm -f "$root/opt/python/lib/$name/EXTERNALLY-MANAGED"
if grep -q posix_local "$root/opt/python/lib/$name/sysconfig.py"; then
    ln -s site-packages "$root/opt/python/lib/$name/dist-packages"
    sed -i "s/prefix_scheme = 'posix_local'/prefix_scheme = 'posix_prefix'/" "$root/opt/python/lib/$name/sysconfig.py"
    "$python" -m compileall -q -s "$root" "$root/opt/python/lib/$name/sysconfig.py"
fi
shared=$(find "$prefix/lib" -maxdepth 1 -name "libpython$version.so.1.0" | head -1)
[ -z "$shared" ] || cp -L "$shared" "$root/opt/python/lib/"
find "$root/opt/python" -name '*.so*' -type f -exec strip --strip-unneeded {} + 2>/dev/null || true

# A shell, some commands, and the libraries of everything so far.
cp /bin/dash "$root/bin/sh"
for command in env cat ls mkdir rm cp id sleep true false echo date uname chown; do
    cp "$(type -P "$command")" "$root/usr/bin/$command"
done
libraries() {
    { for file in "$@"; do ldd "$file" 2>/dev/null || true; done; } |
        awk '/=> \//{print $3} /^\t\//{print $1}' | sort -u
}
machine=$(dirname "$(ldconfig -p | awk '/libc\.so\.6 /{print $NF; exit}')")
mkdir -p "$root$machine" "$root/usr$machine"
modules=$(find "$root/opt/python/lib/$name/lib-dynload" -name '*.so')
more=$(find "$machine" -maxdepth 1 -regex '.*/lib\(nss_files\|nss_dns\|resolv\|gcc_s\|stdc\+\+\|pthread\|dl\|rt\|util\|m\|gomp\)\.so\.[0-9]*')
# shellcheck disable=SC2086
for library in $(libraries "$prefix/bin/$name" $modules $more "$root"/usr/bin/* "$root/bin/sh") $more; do
    case $library in "$prefix"/lib/libpython*) continue ;; esac
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$(dirname "$library")/"
done

# Users, names, certificates.
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
printf '%s\n' "$machine" "/usr$machine" /opt/python/lib >"$root/etc/ld.so.conf"
ldconfig -r "$root"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\ndisable-pip-version-check = true\nroot-user-action = ignore\n' >"$root/etc/pip.conf"

# pip, as this environment has it.
cp -a "$("$python" -c 'import os, pip; print(os.path.dirname(pip.__file__))')" "$root/opt/python/lib/$name/site-packages/pip"
printf '#!/opt/python/bin/python3\nimport sys\nfrom pip._internal.cli.main import main\nsys.exit(main())\n' >"$root/opt/python/bin/pip"
chmod 755 "$root/opt/python/bin/pip"
