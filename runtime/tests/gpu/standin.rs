//! Builds the stand-in driver with the system's g++ and runs parts of this test program against it, each in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use recslowfast::network::Network;

/// A build of the stand-in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Build {
    /// 80 Ampere and newer, 70 Volta and Xavier, 0 no tensor cores.
    pub mma_path: u32,
    /// With AddressSanitizer and UndefinedBehaviorSanitizer.
    pub sanitized: bool,
}

/// Ampere, as fast as the host allows.
pub const AMPERE: Build = Build { mma_path: 80, sanitized: false };

static BUILDING: Mutex<()> = Mutex::new(());

/// The package's folder: cargo says where it is, and so does whoever runs this program elsewhere than where it was built.
pub fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// A network that comes with these tests.
pub fn network(name: &str) -> Network {
    let folder = package().join("tests/gpu/networks").join(name);
    Network::load(folder.to_str().expect("a plain path")).expect("the fixture is there")
}

fn root() -> PathBuf {
    package().join("..")
}

/// The folder with `libcuda.so.1`; `None`, with a printed reason, where it cannot be built.
pub fn folder(build: Build) -> Option<PathBuf> {
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!(
        "standin-{}{}",
        build.mma_path,
        if build.sanitized { "-asan" } else { "" }
    ));
    let library = folder.join("libcuda.so.1");
    let kernels = root().join("runtime/src/engine/cuda/kernels");
    let inputs = [root().join("tests/gpu/standin"), root().join("tests/gpu/shim"), kernels.clone()];
    let newest = |folder: &PathBuf| std::fs::read_dir(folder).ok()?.filter_map(|entry| entry.ok()?.metadata().ok()?.modified().ok()).max();
    let fresh = library
        .metadata()
        .and_then(|file| file.modified())
        .is_ok_and(|built| inputs.iter().filter_map(newest).all(|source| source < built));
    if fresh {
        return Some(folder);
    }
    build_at(build, &kernels, &folder, if build.sanitized { "-O1" } else { "-O3" })
}

/// Compiles the kernels in `kernels` into a driver in `folder`.
pub fn build_at(build: Build, kernels: &Path, folder: &Path, optimise: &str) -> Option<PathBuf> {
    std::fs::create_dir_all(folder).expect("the target folder can be written");
    let sanitizers: &[&str] =
        if build.sanitized { &["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-sanitize=vptr"] } else { &[] };
    let object = folder.join("libcuda.o");
    let compiled = Command::new("g++")
        .args(["-std=c++17", "-march=native", "-c", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", optimise])
        .args(sanitizers)
        .arg(format!("-DMMA_PATH={}", build.mma_path))
        .arg("-I")
        .arg(root().join("tests/gpu/shim"))
        .arg("-I")
        .arg(kernels)
        .arg(root().join("tests/gpu/standin/libcuda.cpp"))
        .arg("-o")
        .arg(&object)
        .output();
    let output = match compiled {
        Err(error) => {
            println!("SKIPPED: the stand-in driver needs g++ ({error})");
            return None;
        }
        Ok(output) => output,
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    link(&object, &folder.join("libcuda.so.1"), sanitizers);
    Some(folder.to_owned())
}

/// The environment in which networks have kernels compiled for them, by a stand-in for NVRTC; `None`, with a printed reason, without g++.
pub fn compiling(build: Build) -> Option<Vec<(String, String)>> {
    let driver = folder(build)?;
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let compiler = driver.with_extension("nvrtc");
    std::fs::create_dir_all(&compiler).expect("the target folder can be written");
    let sanitizers = if build.sanitized { "-g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-sanitize=vptr" } else { "" };
    let flags = format!("-O1 {sanitizers} -DMMA_PATH={} -I {}", build.mma_path, root().join("tests/gpu/shim").display());
    let output = Command::new("g++")
        .args(["-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=hidden"])
        .arg(format!("-DSTANDIN_FLAGS=\"{flags}\""))
        .arg(format!("-DSTANDIN_BUILD=\"{}{}\"", build.mma_path, if build.sanitized { "s" } else { "" }))
        .arg(root().join("tests/gpu/standin/libnvrtc.cpp"))
        .arg("-o")
        .arg(compiler.join("libnvrtc.so.12"))
        .output()
        .expect("g++ was there a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |path: &Path| path.to_str().expect("a plain path").to_owned();
    Some(vec![("LD_LIBRARY_PATH".into(), format!("{}:{}", text(&driver), text(&compiler))), ("STANDIN_NVRTC".into(), text(&compiler))])
}

fn link(object: &Path, library: &Path, sanitizers: &[&str]) {
    let output = Command::new("g++")
        .args(["-shared"])
        .args(sanitizers)
        .arg(object)
        .arg("-o")
        .arg(library)
        .output()
        .expect("g++ was there a moment ago");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A folder with a stand-in that lacks one symbol.
pub fn without(build: Build, symbol: &str) -> Option<PathBuf> {
    let whole = folder(build)?;
    let folder = whole.with_file_name(format!("standin-without-{symbol}"));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let object = folder.join("libcuda.o");
    let renamed = Command::new("objcopy").arg(format!("--redefine-sym={symbol}=absent")).arg(whole.join("libcuda.o")).arg(&object).status();
    assert!(renamed.expect("objcopy comes with g++").success());
    link(&object, &folder.join("libcuda.so.1"), &[]);
    Some(folder)
}

/// Runs the ignored test `name` of this program with `environment`, against the driver in `folder`; what it printed, as an error where it fails.
pub fn try_run(folder: &Path, name: &str, environment: &[(&str, &str)]) -> Result<String, String> {
    let mut command = Command::new(std::env::current_exe().expect("a test program knows itself"));
    command
        .args(["--exact", name, "--ignored", "--nocapture", "--test-threads=1"])
        .env("LD_LIBRARY_PATH", folder)
        .env("RUST_BACKTRACE", "0")
        .env("CUDA_CACHE_DISABLE", "1");
    for (key, value) in environment {
        command.env(key, value);
    }
    let output = command.output().expect("a test program can run itself");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in text.lines().filter(|line| line.contains("measured:")) {
        println!("{name}: {line}");
    }
    if output.status.success() && text.contains("1 passed") { Ok(text) } else { Err(text) }
}

/// As `try_run`, and must pass.
pub fn run(folder: &Path, name: &str, environment: &[(&str, &str)]) -> String {
    try_run(folder, name, environment).unwrap_or_else(|text| panic!("{name} with {environment:?}:\n{text}"))
}

/// An environment as [`run`] takes it.
pub fn borrowed(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    environment.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

/// What the sanitized build needs around it.
pub fn sanitizer_environment() -> Vec<(String, String)> {
    let library = |name: &str| {
        let found = Command::new("g++").arg(format!("-print-file-name={name}")).output().expect("g++ was there a moment ago");
        String::from_utf8_lossy(&found.stdout).trim().to_owned()
    };
    vec![
        ("LD_PRELOAD".into(), format!("{} {}", library("libasan.so"), library("libubsan.so"))),
        ("ASAN_OPTIONS".into(), "detect_leaks=0:detect_odr_violation=0".into()),
    ]
}
