//! A terminal that shows nothing of what is typed.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr, tcsetattr,
};

/// Echo is off for as long as this lives. What is typed and not read by then is discarded, not left to a shell.
pub(super) struct Quiet<'t> {
    tty: BorrowedFd<'t>,
    before: Termios,
    modes: Termios,
    /// Something had been typed before the echo was off; it is gone.
    pub(super) dropped: bool,
}

impl<'t> Quiet<'t> {
    /// Switches the echo off. Signals of keys stay on.
    ///
    /// # Errors
    /// As tcsetattr(3).
    pub(super) fn begin(tty: BorrowedFd<'t>) -> io::Result<Quiet<'t>> {
        let before = tcgetattr(tty)?;
        let mut modes = before.clone();
        // Byte by byte, so that each can be answered with a mask.
        modes.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        // From here on `Drop` puts it back, whatever fails.
        let mut quiet = Quiet { tty, before, modes, dropped: false };
        quiet.again()?;
        // Without line mode all that waits is counted, half a line too (tty_ioctl(4), FIONREAD).
        quiet.dropped = rustix::io::ioctl_fionread(tty)? > 0;
        tcflush(tty, QueueSelector::IFlush)?;
        Ok(quiet)
    }

    /// Switches it off once more, after somebody else may have switched it on.
    ///
    /// # Errors
    /// As tcsetattr(3).
    pub(super) fn again(&self) -> io::Result<()> {
        Ok(tcsetattr(self.tty, OptionalActions::Now, &self.modes)?)
    }
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(self.tty, OptionalActions::Flush, &self.before);
    }
}
