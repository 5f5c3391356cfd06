//! Every way out: what the program leaves behind when readers, terminals, threads, disks and people end it.

mod files;
mod page;
mod pipes;
mod program;
mod scene;
mod signals;
mod terminal;
mod threads;
