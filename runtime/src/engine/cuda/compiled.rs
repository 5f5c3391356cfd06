//! Kernels compiled for one network, with an NVRTC that is installed; kept on disk, for compiling takes seconds on a small board.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::book::Book;
use super::driver::{Context, Module};
use super::nvrtc::Compiler;

/// What a kept image begins with.
const MAGIC: &[u8; 8] = b"rsfkern1";

/// Compiles the kernels of `book` for the device of `context`, or takes what an earlier run kept.
pub fn load(context: &Arc<Context>, compiler: &Compiler, book: &Book) -> Result<Module, String> {
    let capability = context.info.capability;
    let (major, minor) = compiler.version;
    // All that decides what comes out.
    let source = format!("// NVRTC {major}.{minor}, compute capability {capability}\n{}", book.source());
    let place = folder().map(|folder| folder.join(format!("{:08x}-{}.kernels", crc32fast::hash(source.as_bytes()), source.len())));
    if let Some(image) = place.as_deref().and_then(|place| kept(place, &source)) {
        match Module::load(context, &image) {
            Ok(module) => return Ok(module),
            Err(error) => log::warn!("GPU kernels: what an earlier run kept is refused ({error}); compiling again"),
        }
    }
    log::info!("GPU kernels: compiling {} for this network", book.len());
    let began = Instant::now();
    let image = compiler.compile(&source, capability)?;
    let module = Module::load(context, &image).map_err(|error| error.to_string())?;
    log::info!("GPU kernels: {} compiled for this network by NVRTC {major}.{minor} in {:.1} s", book.len(), began.elapsed().as_secs_f64());
    if let Some(place) = place
        && let Err(error) = keep(&place, &source, &image)
    {
        log::info!("GPU kernels: not kept for the next start: {}: {error}", place.display());
    }
    Ok(module)
}

/// Where CUDA keeps what it compiles, or a folder of this program's own; None where the user wants nothing kept, or has no place for it.
fn folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if set("CUDA_CACHE_DISABLE").is_some_and(|value| value == "1") {
        return None;
    }
    let home = || set("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = set("CUDA_CACHE_PATH").or_else(|| set("XDG_CACHE_HOME")).map(PathBuf::from).or_else(home)?;
    Some(base.join("recslowfast"))
}

/// What `keep` wrote to `place` for the same source, where it is whole.
fn kept(place: &Path, source: &str) -> Option<Vec<u8>> {
    let bytes = fs::read(place).ok()?;
    let rest = bytes.strip_prefix(MAGIC)?;
    let (check, rest) = rest.split_first_chunk::<4>()?;
    if crc32fast::hash(rest) != u32::from_le_bytes(*check) {
        return None;
    }
    let (length, rest) = rest.split_first_chunk::<8>()?;
    let (known, image) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    (known == source.as_bytes()).then(|| image.to_vec())
}

/// Writes a file that is either whole or not there under its name.
fn keep(place: &Path, source: &str, image: &[u8]) -> std::io::Result<()> {
    let content = [&(source.len() as u64).to_le_bytes(), source.as_bytes(), image].concat();
    let bytes = [&MAGIC[..], &crc32fast::hash(&content).to_le_bytes(), &content].concat();
    fs::create_dir_all(place.parent().unwrap_or(Path::new(".")))?;
    let unfinished = place.with_extension(format!("{}.part", std::process::id()));
    let written = fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, place));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_taken_for_the_same_source_and_whole_alone() {
        let folder = std::env::temp_dir().join(format!("recslowfast-kept-{}", std::process::id()));
        let place = folder.join("a/some.kernels");
        assert_eq!(kept(&place, "source"), None);
        keep(&place, "source", b"image").unwrap();
        assert_eq!(kept(&place, "source").as_deref(), Some(&b"image"[..]));
        assert_eq!(kept(&place, "another"), None);
        let whole = fs::read(&place).unwrap();
        for length in 0..whole.len() {
            fs::write(&place, &whole[..length]).unwrap();
            assert_eq!(kept(&place, "source"), None, "{length} of {} bytes", whole.len());
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            fs::write(&place, damaged).unwrap();
            assert_eq!(kept(&place, "source"), None, "byte {at}");
        }
        fs::remove_dir_all(folder).unwrap();
    }
}
