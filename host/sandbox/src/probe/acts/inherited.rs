//! What a process is born with: environment, descriptors, terminal.

#![expect(clippy::disallowed_methods, reason = "an act names what it was not given: reaching it is what it tries")]

use std::os::fd::BorrowedFd;

use stigmer_policy::Promise::{Descriptors, Environment, Terminal};

use super::called;
use crate::probe::act::{Act, Attempt, How};
use crate::probe::scene::Scene;

pub(super) const ACTS: &[Act] = &[
    Act {
        promise: Environment,
        name: "variable",
        sentence: "see a variable that is not listed",
        how: How::Environment,
        effect: None,
    },
    Act {
        promise: Descriptors,
        name: "open-file",
        sentence: "use a file that was open in the host",
        how: How::Plain(open_file),
        effect: None,
    },
    Act {
        promise: Terminal,
        name: "open",
        sentence: "open the person's terminal",
        how: How::Plain(|_| {
            std::fs::File::open("/dev/tty")?;
            Ok(())
        }),
        effect: None,
    },
    Act {
        promise: Terminal,
        name: "type",
        sentence: "type into the terminal on stdin (TIOCSTI)",
        how: How::Plain(type_into),
        effect: None,
    },
];

/// Descriptors that are looked at: above the ordinary bound of a process there are none.
const MOST: i32 = 1024;

fn open_file(scene: &Scene) -> Attempt {
    for number in 0..MOST {
        // SAFETY: a number that is not open is answered EBADF; the borrow ends with the call.
        let Ok(stat) = rustix::fs::fstat(unsafe { BorrowedFd::borrow_raw(number) }) else { continue };
        if (stat.st_dev, stat.st_ino) == scene.open_file {
            return Ok(());
        }
    }
    super::elsewhere("no descriptor of the host is open")
}

fn type_into(_: &Scene) -> Attempt {
    let key = b'x';
    // SAFETY: TIOCSTI reads one byte, which outlives the call (ioctl_tty(2)).
    called(unsafe { libc::ioctl(0, libc::TIOCSTI, &raw const key) }.into())?;
    Ok(())
}
