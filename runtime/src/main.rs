//! The `recslowfast` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    recslowfast::commands::main()
}
