"""Compiles the kernels for every architecture and compares with what is committed.

    python3 tests/gpu/build.py            rebuild, compare, fail on any difference
    python3 tests/gpu/build.py --write    rebuild and replace the committed images and the resource table
    python3 tests/gpu/build.py --networks street,pathfinder-hgru
                                          compile what the engine writes for these networks of the zoo; needs the test program, built by cargo

Compilers come from PyPI wheels (NVRTC for PTX, ptxas for cubins) into target/cuda-compilers; no GPU and no installed toolkit is needed.
The same compilers give the same bytes, so a difference means that a kernel changed and its images did not.
"""

import argparse
import ctypes
import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CUDA = ROOT / "runtime/src/engine/cuda"
KERNELS = CUDA / "kernels"
BUILT = CUDA / "built"
TABLE = HERE / "resources.json"
SOURCES = ["prelude.cu", "decide.cu", "measure.cu", "chain.cu", "conv_mma.cu", "conv_scalar.cu", "conv_fft.cu", "stats.cu", "pointwise.cu", "spatial.cu", "across.cu", "tiles.cu", "frame.cu", "camera.cu"]
PLATFORMS = ["manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
# name: (NVRTC wheel, ptxas wheel)
TOOLKITS = {
    "11.8": ("nvidia-cuda-nvrtc-cu11==11.8.89", "nvidia-cuda-nvcc-cu11==11.8.89"),
    "13.0": ("nvidia-cuda-nvrtc==13.0.88", "nvidia-cuda-nvcc==13.0.88"),
}
# architecture: toolkit, shared memory of a multiprocessor, threads of a multiprocessor, most blocks there
CUBINS = {
    53: ("11.8", 64, 2048, 32),
    62: ("11.8", 64, 2048, 32),
    72: ("11.8", 96, 2048, 32),
    87: ("11.8", 164, 1536, 16),
    90: ("11.8", 228, 2048, 32),
    110: ("13.0", 228, 1536, 24),
}
PTX = {53: "11.8", 80: "11.8"}
# JetPack 5 drivers know PTX 7.4, JetPack 4 drivers 6.5; the kernels use nothing newer.
PTX_VERSION = {53: "6.5", 80: "7.4"}


def fetch(toolkit: str, cache: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Paths of the NVRTC library and of ptxas."""
    place = cache / toolkit
    if not (place / "done").exists():
        wheels = place / "wheels"
        wheels.mkdir(parents=True, exist_ok=True)
        for wheel in TOOLKITS[toolkit]:
            platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
            command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps"]
            subprocess.run([*command, "--only-binary=:all:", *platforms, "-d", wheels, wheel], check=True)
        for wheel in wheels.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(place)
        (place / "done").touch()
    nvrtc = next(path for path in place.rglob("libnvrtc.so.*") if "builtins" not in path.name and "alt" not in path.name)
    ptxas = next(path for path in place.rglob("ptxas") if path.parent.name == "bin")
    ptxas.chmod(0o755)
    return nvrtc, ptxas


def compile_ptx(nvrtc: pathlib.Path, source: bytes, capability: int) -> bytes:
    """PTX for compute capability `capability` / 10. One process per library: two NVRTCs do not share one well."""
    script = "import sys; from build import nvrtc_main; nvrtc_main(sys.argv[1], int(sys.argv[2]))"
    done = subprocess.run([sys.executable, "-c", script, nvrtc, str(capability)], input=source, capture_output=True, cwd=HERE)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    return done.stdout


# Kernels a network does not use stay in its source: their functions are never called, and that is said.
UNUSED = re.compile(r"recslowfast.cu\(\d+\): warning #177-D: function .* was declared but never referenced|Remark: The warnings can be suppressed.*")


def nvrtc_main(path: str, capability: int) -> None:
    folder = pathlib.Path(path).parent
    for builtins in folder.glob("libnvrtc-builtins.so*"):
        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
    lib = ctypes.CDLL(path)
    source = sys.stdin.buffer.read()
    options = [f"--gpu-architecture=compute_{capability}".encode(), b"--std=c++14"]
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    lib.nvrtcCreateProgram(ctypes.byref(program), source, b"recslowfast.cu", 0, None, None)
    code = lib.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    lib.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetProgramLog(program, log)
    said = log.value.decode()
    if code or "warning" in UNUSED.sub("", said):
        sys.exit(f"compute_{capability}: {said}")
    lib.nvrtcGetPTXSize(program, ctypes.byref(size))
    ptx = ctypes.create_string_buffer(size.value)
    lib.nvrtcGetPTX(program, ptx)
    sys.stdout.buffer.write(ptx.raw.rstrip(b"\0"))


def assemble(ptxas: pathlib.Path, ptx: bytes, capability: int, scratch: pathlib.Path) -> tuple[bytes, dict]:
    """The cubin, and registers, shared memory and spills of each kernel."""
    source, out = scratch / f"{capability}.ptx", scratch / f"{capability}.cubin"
    source.write_bytes(ptx)
    done = subprocess.run([ptxas, "-v", f"-arch=sm_{capability}", source, "-o", out], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    table, kernel, spills = {}, None, 0
    for line in done.stderr.splitlines():
        if match := re.search(r"Compiling entry function '(\w+)'", line):
            kernel = match[1]
        elif match := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spills = int(match[1]) + int(match[2])
        elif match := re.search(r"Used (\d+) registers", line):
            shared = re.search(r"(\d+) bytes smem", line)
            table[kernel] = {"registers": int(match[1]), "shared": int(shared[1]) if shared else 0, "spills": spills}
    return out.read_bytes(), table


def occupancy(row: dict, threads: int, dynamic: int, shared_kib: int, most_threads: int, most_blocks: int) -> float:
    """Share of a multiprocessor's threads in use: registers come in 256 a warp, shared memory in KiB per block."""
    warps = threads // 32
    by_registers = 65536 // (-(-row["registers"] * 32 // 256) * 256 * warps)
    per_block = row["shared"] + dynamic + 1024
    by_shared = shared_kib * 1024 // per_block
    blocks = min(by_registers, by_shared, most_threads // threads, most_blocks)
    return round(blocks * threads / most_threads, 2)


# Threads and dynamic shared memory with which the reference network at 150 x 150 launches each kernel.
TYPICAL = {
    "conv_mma_4": (128, 32 * 1024), "conv_mma_8": (128, 47520), "conv_mma_10": (96, 50336), "conv_scalar": (128, 0), "conv_direct": (128, 0),
    "conv_fft_forward": (256, 37376), "conv_fft_multiply": (256, 14976), "conv_fft_back": (256, 37376),
    "conv_fft_forward16": (256, 37376), "conv_fft_multiply16": (256, 14976), "conv_fft_back16": (256, 37376),
    "stats": (256, 0), "pointwise": (128, 16 * 1024), "spatial": (128, 0), "across": (128, 0), "begin_steps": (32, 0),
    "import_planes": (256, 0), "export_planes": (256, 0), "label_pixels": (256, 0), "fit_picture": (256, 560),
    "tile_look": (128, 0), "tile_decide": (256, 0), "tile_accept": (128, 0), "tile_map": (128, 0), "reach": (128, 0), "reach_tiles": (256, 0), "gate": (128, 0),
}


# What the engine knows of each architecture's boards: multiprocessors, KiB of shared memory a block and a multiprocessor may have.
BOARDS = {53: (1, 48, 64), 62: (2, 48, 64), 72: (8, 96, 96), 87: (8, 163, 164), 90: (132, 227, 228), 110: (20, 227, 228)}


def compile_networks(names: list[str], compilers: pathlib.Path) -> list[str]:
    """Compiles the source the engine writes for each network and architecture; what is wrong."""
    # As the verbs select packages, so that nothing is compiled for other features.
    built = subprocess.run(["cargo", "test", "-p", "recslowfast", "-p", "firmware-bridge", "--test", "gpu", "--no-run"], cwd=ROOT, capture_output=True, text=True)
    program = re.search(r"\((\S*deps/gpu-[0-9a-f]+)\)", built.stderr)
    if not program:
        raise SystemExit(built.stderr)
    scratch = compilers / "scratch"
    failures = []

    def write(name: str, capability: int, toolkit: pathlib.Path | None = None, **places: pathlib.Path) -> None:
        words = ",".join(str(number) for number in (capability, *BOARDS[capability]))
        environment = {"GPU_NETWORK": str(ROOT / "models/zoo" / name), "GPU_PLAN": f"{words},auto,compiled", "CARGO_MANIFEST_DIR": str(ROOT / "runtime")}
        environment |= {key: str(place) for key, place in places.items()}
        if toolkit:
            environment["LD_LIBRARY_PATH"] = str(toolkit)
        command = [ROOT / program[1], "--exact", "device::print_source", "--ignored", "--nocapture"]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
        if done.returncode or "1 passed" not in done.stdout:
            raise SystemExit(done.stdout + done.stderr)

    for name in names:
        for capability, (toolkit, *_) in CUBINS.items():
            source = scratch / f"{name}-{capability}.cu"
            write(name, capability, GPU_SOURCE=source)
            nvrtc, ptxas = fetch(toolkit, compilers)
            image, rows = assemble(ptxas, compile_ptx(nvrtc, source.read_bytes(), capability), capability, scratch)
            most = max(rows.values(), key=lambda row: row["registers"])["registers"]
            print(f"{name} on sm_{capability}: {len(rows)} kernels of at most {most} registers, {len(image) // 1024} KiB")
            failures += [f"{name} on sm_{capability}, {kernel}: {row['spills']} bytes spilled" for kernel, row in rows.items() if row["spills"]]
    # The engine's own way, by either NVRTC.
    for toolkit in TOOLKITS:
        nvrtc, _ = fetch(toolkit, compilers)
        image = scratch / "network.cubin"
        write(names[-1], 87, nvrtc.parent, GPU_IMAGE=image)
        if not image.read_bytes().startswith(b"\x7fELF"):
            failures.append(f"NVRTC {toolkit} gave the engine no cubin")
        print(f"{names[-1]} by the engine and NVRTC {toolkit}: {image.stat().st_size // 1024} KiB")
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="replace what is committed")
    parser.add_argument("--networks", type=lambda words: words.split(","), help="compile what the engine writes for these, and nothing else")
    parser.add_argument("--compilers", type=pathlib.Path, default=ROOT / "target/cuda-compilers", help="where compilers are kept")
    args = parser.parse_args()
    source = b"".join((KERNELS / name).read_bytes() for name in SOURCES)
    scratch = args.compilers / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    if args.networks:
        failures = compile_networks(args.networks, args.compilers)
        for failure in failures:
            print(failure, file=sys.stderr)
        return 1 if failures else 0
    images, table = {}, {}
    for capability, (toolkit, *limits) in CUBINS.items():
        nvrtc, ptxas = fetch(toolkit, args.compilers)
        images[f"sm_{capability}.cubin"], rows = assemble(ptxas, compile_ptx(nvrtc, source, capability), capability, scratch)
        for kernel, row in rows.items():
            row["occupancy"] = occupancy(row, *TYPICAL[kernel], *limits)
        table[f"sm_{capability}"] = dict(sorted(rows.items()))
    for capability, toolkit in PTX.items():
        nvrtc, ptxas = fetch(toolkit, args.compilers)
        ptx = compile_ptx(nvrtc, source, capability)
        ptx = re.sub(rb"\.version \d+\.\d+", b".version " + PTX_VERSION[capability].encode(), ptx, count=1)
        ptx = re.sub(rb"^//.*\n", b"", ptx, flags=re.MULTILINE)
        assemble(ptxas, ptx, capability, scratch)
        images[f"compute_{capability}.ptx"] = ptx

    failures = [f"{arch} {kernel}: {row['spills']} bytes spilled" for arch, rows in table.items() for kernel, row in rows.items() if row["spills"]]
    if args.write:
        BUILT.mkdir(exist_ok=True)
        for name, image in images.items():
            (BUILT / f"{name}.z").write_bytes(zlib.compress(image, 9))
        TABLE.write_text(json.dumps(table, indent=1) + "\n")
    else:
        for name, image in images.items():
            packed = BUILT / f"{name}.z"
            if not packed.exists() or zlib.decompress(packed.read_bytes()) != image:
                failures.append(f"{packed.relative_to(ROOT)} is not what the kernels compile to; run tests/gpu/build.py --write")
        if json.loads(TABLE.read_text()) != table:
            failures.append("tests/gpu/resources.json is out of date")
    for arch, rows in table.items():
        print(arch)
        for kernel, row in rows.items():
            print(f"  {kernel:14} {row['registers']:4} registers {row['shared']:6} B shared {row['spills']:3} B spilled  occupancy {row['occupancy']:.2f}")
    sizes = ", ".join(f"{name} {len(zlib.compress(image, 9)) // 1024} KiB" for name, image in images.items())
    print(f"images, compressed: {sizes}")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
