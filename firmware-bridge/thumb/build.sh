#!/usr/bin/env bash
# Builds the firmwares for thumbv6m and thumbv7em, weighs them, and checks what must not be in them.
# Needs no rustup target: core is built from the library source, which is looked for in
#   $RUST_LIBRARY (a folder with core/ and Cargo.lock), then ../shared/prebuilt/rust-library-*.tar.xz beside the repository, then Debian's rust-src.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(git -C "$here" rev-parse --path-format=absolute --git-common-dir); repo=${repo%/.git}
version=$(rustc -vV | sed -n 's/^release: //p')
work=${CARGO_TARGET_DIR:-$here/../../target}/thumb
mkdir -p "$work"; work=$(cd "$work" && pwd)

library() {
  local packed found
  for found in "${RUST_LIBRARY:-}" "$(rustc --print sysroot)/lib/rustlib/src/rust/library" "/usr/src/rustc-$version/library"; do
    if [ -f "$found/core/Cargo.toml" ]; then echo "$found"; return; fi
  done
  packed=$repo/../shared/prebuilt/rust-library-$version.tar.xz
  if [ ! -f "$packed" ]; then
    echo "no library source of Rust $version: set RUST_LIBRARY, or install rust-src of this version" >&2
    exit 3
  fi
  [ -d "$work/library-$version" ] || { mkdir -p "$work/unpack"; tar -xJf "$packed" -C "$work/unpack"; mv "$work/unpack" "$work/library-$version"; }
  dirname "$(dirname "$(find "$work/library-$version" -path '*library/core/Cargo.toml' | head -1)")"
}

library=$(library)
cd "$here"
status=0
printf '%-24s %-8s %8s %8s\n' target firmware flash static
for target in thumbv6m-none-eabi thumbv7em-none-eabihf; do
  RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$library CARGO_TARGET_DIR=$work \
    cargo build --quiet --locked --release --target "$target" -Zbuild-std=core
  for firmware in nothing decoder link screen panel; do
    elf=$work/$target/release/$firmware
    # Flash holds what is loaded (code, constants, initial values); RAM what is allocated and writable. readelf knows every architecture's ELF.
    readelf -SW "$elf" | sed 's/^ *\[ *[0-9]*\]//' | awk -v target="$target" -v firmware="$firmware" '
      function hex(text,   value, i) { for (i = 1; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1; return value }
      $7 ~ /A/ && $2 == "PROGBITS" || $1 == ".ARM.exidx" { flash += hex($5) }
      $7 ~ /W/ && $7 ~ /A/ { ram += hex($5) }
      END { printf "%-24s %-8s %8d %8d\n", target, firmware, flash, ram }'
    symbols=$(readelf -sW "$elf" | awk '{print $8}')
    if grep -qE '__rust_alloc|__rg_alloc|^malloc$' <<<"$symbols"; then echo "$firmware: an allocator is linked" >&2; status=1; fi
    case $firmware in decoder | link)
      if grep -E 'panicking|panic_fmt|rust_begin_unwind|unwrap_failed|slice_.*_fail' <<<"$symbols"; then
        echo "$firmware: a panic is reachable" >&2; status=1
      fi ;;
    esac
  done
done
[ $status = 0 ] && echo "no allocator anywhere; no panic in decoder and link"
exit $status
