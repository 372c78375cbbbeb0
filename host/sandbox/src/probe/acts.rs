//! The acts, by promise.
//!
//! They are written as an attacker would: plain system calls on names, numbers and addresses of the host. Each file holds
//! its part of the table and the functions that it names.

mod files;
mod inherited;
mod ipc;
mod kernel;
mod limits;
mod network;
mod processes;
mod protected;
pub(super) use protected::REPOSITORIES;
mod unix;

use super::act::{Act, Barred};

/// Every act, in the order of the promises.
pub fn all() -> impl Iterator<Item = &'static Act> {
    let parts: [&'static [Act]; 9] = [
        files::ACTS,
        protected::ACTS,
        network::ACTS,
        unix::ACTS,
        processes::ACTS,
        kernel::ACTS,
        inherited::ACTS,
        limits::ACTS,
        ipc::ACTS,
    ];
    parts.into_iter().flatten()
}

/// The result of a raw system call, or its errno.
fn called(result: libc::c_long) -> Result<libc::c_long, Barred> {
    if result == -1 { Err(std::io::Error::last_os_error().into()) } else { Ok(result) }
}

fn absent<T>(what: &str) -> Result<T, Barred> {
    Err(Barred::Absent(what.to_owned()))
}

fn elsewhere<T>(what: &str) -> Result<T, Barred> {
    Err(Barred::Elsewhere(what.to_owned()))
}

/// Whether what was read is what the trusted half wrote.
fn same(read: &[u8], canary: &str) -> Result<(), Barred> {
    if read.windows(canary.len()).any(|window| window == canary.as_bytes()) {
        return Ok(());
    }
    elsewhere("what was read is not the host's")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use stigmer_policy::Promise;

    #[test]
    fn every_promise_has_an_act_and_names_are_unique() {
        let mut names = BTreeSet::new();
        for act in super::all() {
            assert!(names.insert((act.promise, act.name)), "{}", act.name);
            assert!(!act.sentence.is_empty());
        }
        let promises: BTreeSet<_> = super::all().map(|act| act.promise).collect();
        assert_eq!(promises, Promise::ALL.iter().copied().collect());
        let order: Vec<_> = super::all().map(|act| act.promise).collect();
        assert!(order.is_sorted(), "{order:?}");
    }
}
