#!/usr/bin/env bash
# Builds the firmwares (build.sh) and runs them on emulated Cortex-M boards against the host's own drawing (tests/qemu.rs).
# The emulator is $QEMU_SYSTEM_ARM, else one on the path, else Debian's unpacked into a folder of its own: installing Debian 12's qemu-system-arm would remove
# other qemu packages.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${CARGO_TARGET_DIR:-$here/../../target}/thumb
mkdir -p "$work"; work=$(cd "$work" && pwd)
packages="qemu-system-arm qemu-system-common qemu-system-data libfdt1 libcapstone4 libpmem1 librdmacm1 libibverbs1 libslirp0 libvdeplug2 libdaxctl1 libndctl6 libnl-3-200 libnl-route-3-200"

if [ -z "${QEMU_SYSTEM_ARM:-}" ]; then
  if command -v qemu-system-arm >/dev/null; then
    QEMU_SYSTEM_ARM=qemu-system-arm
  else
    if [ ! -x "$work/qemu/usr/bin/qemu-system-arm" ]; then
      mkdir -p "$work/debs"
      # shellcheck disable=SC2086  # a list of words
      (cd "$work/debs" && apt-get download -qq $packages)
      for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/qemu"; done
    fi
    export LD_LIBRARY_PATH=$work/qemu/usr/lib/x86_64-linux-gnu:$work/qemu/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    QEMU_SYSTEM_ARM="$work/qemu/usr/bin/qemu-system-arm -L $work/qemu/usr/share/qemu"
  fi
fi
export QEMU_SYSTEM_ARM

"$here/build.sh"
export THUMB_FIRMWARE=$work
cd "$here/.."
cargo test -p firmware-bridge --test qemu -- --ignored --nocapture --test-threads=1
