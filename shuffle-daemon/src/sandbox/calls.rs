//! Which system calls the process may make (seccomp(2)); all others fail with EPERM.
//!
//! The program is static, so the list does not depend on the node's libraries. It was seen by
//! `strace -f` over the tests; `make syscalls` does it again.

use anyhow::Context;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::Holds;

/// Allowed with any arguments.
const ALWAYS: &[i64] = &[
    // Files and directories, by handles.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_sendfile,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_mkdirat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_getcwd,
    libc::SYS_umask,
    // Sockets; which kinds of them is below.
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept4,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    // Waiting.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_pipe2,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_restart_syscall,
    // Memory; none that can be executed, see below.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Threads and signals of this process.
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_prlimit64,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_capget,
];

/// Older forms of these, which the C library of this architecture prefers.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_open,
    libc::SYS_access,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_readlink,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_chmod,
    libc::SYS_poll,
    libc::SYS_epoll_wait,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

/// TCP, the control plane, name service, and the kernel's list of addresses for it.
const SOCKETS: [i32; 4] = [
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_UNIX,
    libc::AF_NETLINK,
];
/// Names of threads and of memory.
const PRCTL: [i32; 2] = [libc::PR_SET_NAME, libc::PR_SET_VMA];
const PROT_EXEC: u64 = libc::PROT_EXEC as u64;

/// An argument, counted from 0, and what it must be.
fn is(argument: u8, operator: SeccompCmpOp, value: u64) -> anyhow::Result<SeccompRule> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn any_of(argument: u8, values: &[i32]) -> anyhow::Result<Vec<SeccompRule>> {
    let values = values.iter();
    values
        .map(|value| is(argument, SeccompCmpOp::Eq, u64::from(value.unsigned_abs())))
        .collect()
}

fn program() -> anyhow::Result<BpfProgram> {
    let calls = ALWAYS.iter().chain(OLDER);
    let mut rules: std::collections::BTreeMap<_, _> =
        calls.map(|call| (*call, Vec::new())).collect();
    let not_executable = || is(2, SeccompCmpOp::MaskedEq(PROT_EXEC), 0);
    rules.insert(libc::SYS_mmap, vec![not_executable()?]);
    rules.insert(libc::SYS_mprotect, vec![not_executable()?]);
    rules.insert(libc::SYS_socket, any_of(0, &SOCKETS)?);
    rules.insert(libc::SYS_socketpair, any_of(0, &[libc::AF_UNIX])?);
    rules.insert(libc::SYS_prctl, any_of(0, &PRCTL)?);
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, architecture)?;
    Ok(filter.try_into()?)
}

/// Restricts the calling thread and those that it starts.
pub(super) fn restrict() -> anyhow::Result<Holds> {
    let program = program().context("make the filter")?;
    seccompiler::apply_filter(&program).context("seccomp")?;
    Ok(Holds::Fully)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;
    use rustix::process;

    use super::*;

    #[test]
    fn what_is_not_on_the_list_is_refused() {
        let signal = || process::test_kill_process(process::getpid());
        signal().unwrap();
        let confined = std::thread::spawn(move || {
            restrict().unwrap();
            let file = std::fs::read("/proc/self/status").unwrap();
            let thread = std::thread::spawn(|| 7).join().unwrap();
            (signal(), process::setsid().err(), file.is_empty(), thread)
        });
        let found = confined.join().unwrap();
        assert_eq!(found, (Err(Errno::PERM), Some(Errno::PERM), false, 7));
    }
}
