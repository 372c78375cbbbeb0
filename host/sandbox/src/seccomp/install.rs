//! Attaching a filter to the calling process.

use std::io;

use super::Program;

/// Gives up, for this process and all its descendants, every gain of rights by `execve` (setuid, file capabilities).
///
/// Must precede [`Program::install`] unless the process holds `CAP_SYS_ADMIN`. Safe between `fork` and `exec`.
///
/// # Errors
/// The errno of prctl(2); no kernel since 3.5 has a reason for one.
pub fn set_no_new_privs() -> io::Result<()> {
    // SAFETY: PR_SET_NO_NEW_PRIVS takes four integers (1, then zeros) and no pointer; all are passed as the `unsigned
    // long` that the variadic prototype reads.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl Program {
    /// Filters the calling thread, and every thread and process that it starts, from here on. There is no way back.
    ///
    /// Neither allocates, locks nor panics, so it may stand between `fork` (or `vfork`) and `exec`. Other threads of the
    /// process are not filtered: call it while there is one.
    ///
    /// # Errors
    /// The errno of seccomp(2): `EACCES` without [`set_no_new_privs`], `EINVAL` where the kernel has no filters,
    /// `ENOMEM` when the filters of this process exceed the kernel's total. The process is then not filtered and must
    /// not go on.
    pub fn install(&self) -> io::Result<()> {
        let instructions = self.instructions();
        let Ok(len) = u16::try_from(instructions.len()) else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        // The kernel only reads through the pointer; `*mut` is how C spells it.
        let filter = libc::sock_fprog { len, filter: instructions.as_ptr().cast_mut() };
        // SAFETY: `filter` points at `len` initialised instructions that `self` keeps alive during the call; the kernel
        // copies them and writes nothing. The operation is SECCOMP_SET_MODE_FILTER with no flags, whose third argument
        // is a `struct sock_fprog`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::c_long::from(libc::SECCOMP_SET_MODE_FILTER),
                0_i64,
                &raw const filter,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
