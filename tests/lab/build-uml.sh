#!/usr/bin/env bash
# Builds User-mode Linux with its modules from Debian's kernel source: tests/lab/build-uml.sh FOLDER
# Out: FOLDER/linux and FOLDER/modules.tar.xz. Needs gcc, make, flex, bison, bc, xz, apt-get; about 15 CPU minutes and 2 GB of disk.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && realpath "$1")
work=$(mktemp -d "${LAB_BUILD:-${TMPDIR:-/tmp}}/uml.XXXXXX")
trap 'rm -rf "$work"' EXIT
need=()
for tool in gcc make flex bison bc xz depmod; do command -v $tool >/dev/null || need+=("${tool/depmod/kmod}"); done
[ ${#need[@]} -eq 0 ] || apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${need[@]/xz/xz-utils}" >/dev/null

cd "$work"
package=$(apt-cache depends linux-source | sed -n 's/^ *Depends: \(linux-source-[0-9.]*\)$/\1/p' | head -1)
apt-get download -qq "$package" v4l2loopback-dkms 2>/dev/null
dpkg-deb --fsys-tarfile linux-source-*.deb | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
    tar -xJ --exclude='*/Documentation/*/*' --exclude='*/drivers/gpu/drm/amd/*.[ch]' --exclude='*/tools/testing/*'
dpkg-deb -x v4l2loopback-dkms_*.deb loopback
cd linux-source-*/
cp "$here/uml.config" arch/um/configs/lab_defconfig
jobs=$(nproc)
make -s ARCH=um O="$work/build" lab_defconfig
make -s ARCH=um O="$work/build" -j"$jobs" vmlinux modules
mkdir "$work/extra"
cp "$work"/loopback/usr/src/v4l2loopback-*/v4l2loopback*.[ch] "$work/extra/"
echo 'obj-m += v4l2loopback.o' > "$work/extra/Kbuild"
make -s -C "$work/build" ARCH=um M="$work/extra" modules
make -s -C "$work/build" ARCH=um modules_install INSTALL_MOD_PATH="$work/root" INSTALL_MOD_STRIP=1
make -s -C "$work/build" ARCH=um M="$work/extra" modules_install INSTALL_MOD_PATH="$work/root" INSTALL_MOD_STRIP=1
version=$(make -s -C "$work/build" ARCH=um kernelrelease)
rm -f "$work/root/lib/modules/$version"/{build,source}
depmod -b "$work/root" "$version"
tar -cJf "$out/modules.tar.xz" -C "$work/root" lib
strip -o "$out/linux" "$work/build/vmlinux"
ls -l "$out"
