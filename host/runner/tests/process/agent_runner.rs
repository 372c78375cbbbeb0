//! The runner alone, as a process: what init starts, without init.

fn main() {
    // Init has done this by now; without it the kernel takes no filter.
    if stigmer_sandbox::seccomp::set_no_new_privs().is_ok() {
        stigmer_runner::main();
    }
}
