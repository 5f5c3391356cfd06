//! What the firmwares share: the board's UART and a look at how deep the stack went.
//!
//! The board is Arm's MPS2 (`mps2-an385`, `mps2-an386` under qemu): 4 MiB of code memory, 4 MiB of data memory, a CMSDK UART.
#![no_std]

pub mod stack;
pub mod uart;
