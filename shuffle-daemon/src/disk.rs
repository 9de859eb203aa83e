//! The kernel's side of serving blocks: opening beneath roots, reading, sending, unlinking.
//!
//! This is the only module that makes file system calls for a block. It knows nothing of
//! the protocol; `index`, `handler` and `net::egress` call it.
//!
//! Files are never mapped into memory: a mapping of a file that an executor truncates
//! ends the whole process with SIGBUS. The anonymous mappings of [`buffer`] have no such
//! danger, and give their pages back to the kernel when dropped.

pub mod buffer;
pub mod device;
pub mod file;
pub mod residency;
pub mod roots;
pub mod tree;
pub mod usage;
