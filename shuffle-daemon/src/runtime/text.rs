//! Gives back what starting has touched of the program itself. Called once by `main`, when the daemon serves.
//!
//! Holds the only unsafe code of the workspace: one madvise(2) of pages that nothing can write to.

use std::ffi::c_void;

use rustix::mm::{Advice, madvise};

// Set by the linker (end(3); `__executable_start` is of GNU ld and lld): headers, constants and code lie between
// them, and nothing that is written to or relocated.
#[expect(unsafe_code, reason = "only the linker knows the program's ends")]
unsafe extern "C" {
    safe static __executable_start: u8;
    safe static etext: u8;
}

/// Code that parses configuration, loads state or builds a sandbox is not needed again, but would count as resident for as long
/// as the process lives: about 3 MB. What is needed after all comes back from the page cache at its first use.
pub fn forget_start() {
    let begin = &raw const __executable_start;
    let page = rustix::param::page_size();
    let bytes = ((&raw const etext).addr() - begin.addr()) / page * page;
    // SAFETY: the range is mapped, and from the program's own file, privately and never writably: what is dropped is read again
    // from that file, with the same contents, wherever it is used. `begin` is the start of the mapping, so of a page.
    #[expect(unsafe_code, reason = "whoever calls madvise vouches for the range")]
    let dropped = unsafe {
        madvise(
            begin.cast_mut().cast::<c_void>(),
            bytes,
            Advice::LinuxDontNeed,
        )
    };
    if let Err(error) = dropped {
        tracing::debug!(%error, "cannot give back the code of the start");
    }
}
