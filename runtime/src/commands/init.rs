//! `recslowfast init`: a network of one's own, begun.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::out::say;
use crate::service::exit::{Cause, Failure};
use crate::whole_file::{self, Keep};

/// What is begun.
#[derive(ClapArgs)]
pub struct Args {
    /// The folder to make; its last part is the network's name
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// What the network answers
    #[arg(long, value_name = "TASK")]
    task: Kind,
}

/// What a network can answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Objects as boxes: a feed-forward detector on a well-known backbone
    Boxes,
    /// A class for every pixel: a recurrent segmenter
    Classes,
    /// One contour: the same with two classes
    Contour,
    /// How much of every pixel is foreground: a small matting network with four states
    Matte,
    /// Named tensors that the program gives no meaning to
    Raw,
}

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../../models/export/recslowfast/templates/", $name))
    };
}

/// What every script begins with.
const FRAMES: &str = template!("frames.py");
const MANIFEST: &str = template!("model.toml");

impl Kind {
    fn script(self) -> &'static str {
        match self {
            Kind::Boxes => template!("boxes.py"),
            Kind::Matte => template!("matte.py"),
            Kind::Classes | Kind::Contour | Kind::Raw => template!("segment.py"),
        }
    }

    /// `[task]` and what follows it in model.toml.
    fn sections(self) -> &'static str {
        match self {
            Kind::Boxes => template!("boxes.toml"),
            Kind::Matte => template!("matte.toml"),
            Kind::Classes => template!("classes.toml"),
            Kind::Contour => template!("contour.toml"),
            Kind::Raw => template!("raw.toml"),
        }
    }
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let refuse = |reason: String| Failure::new(Cause::Output, format!("init {}: {reason}", args.folder.display()));
    let name = args.folder.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = name.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
    let name = name.ok_or_else(|| Failure::new(Cause::Usage, "init: a network's name is letters, digits, '-', '_' and '.'"))?;
    let (manifest, script) = (args.folder.join("model.toml"), args.folder.join("train.py"));
    if let Some(there) = [&manifest, &script].into_iter().find(|path| path.exists()) {
        return Err(refuse(format!("{} is there already; nothing was changed", there.display())));
    }
    std::fs::create_dir_all(&args.folder).map_err(|error| refuse(error.to_string()))?;
    let task = format!("{:?}", args.task).to_lowercase();
    let filled = |text: &str| text.replace("@NAME@", &name).replace("@TASK@", &task);
    // The frames first: each script goes on from there.
    let texts = [(&manifest, format!("{MANIFEST}{}", args.task.sections())), (&script, format!("{FRAMES}{}", args.task.script()))];
    for (path, text) in texts {
        whole_file::write(path, filled(&text).as_bytes(), Keep::Lazily).map_err(|error| refuse(format!("{}: {error}", path.display())))?;
    }
    say!("{}: what the network is, every key with what it means", manifest.display())?;
    say!("{}: trains it on frames made on the spot, and exports it: python3 {0}", script.display())?;
    say!(
        "It needs: pip install torch{} onnx onnxscript onnxruntime recslowfast",
        if args.task == Kind::Boxes { " torchvision" } else { "" }
    )?;
    Ok(())
}
