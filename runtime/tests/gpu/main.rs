//! The GPU engine without a GPU: the unmodified engine against a driver that runs the kernels on the host.

mod agreement;
mod camera;
mod compare;
mod compiled;
mod device;
mod elementwise;
mod faults;
mod lost;
mod mutants;
mod parts;
mod standin;
mod tiles;
mod times;
