//! Messages between the trusted half, init and the runner: own frames over SOCK_SEQPACKET socket pairs.
//!
//! Init knows no protobuf. A message is a kind byte and a body; bodies above one packet travel in numbered packets and
//! are put together up to [`MAX_MESSAGE`]. Descriptors ride on the first packet (SCM_RIGHTS, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Serialize, de::DeserializeOwned};

/// Version of the frames; both ends are the same executable, so a mismatch is a fault, not a negotiation.
const VERSION: u8 = 1;
/// Bytes of body in one packet. A packet stops passing between 212,000 and 230,000 bytes on Linux's default buffers.
const PACKET: usize = 60 * 1024;
/// Largest message, in bytes: room for 1 MiB of arguments and for a policy with thousands of roots.
pub const MAX_MESSAGE: usize = 4 << 20;
/// Most descriptors with one message (the kernel's own bound is 253, SCM_MAX_FD).
pub const MAX_DESCRIPTORS: usize = 64;
/// Bytes before the body in each packet: version, flags, total length.
const HEADER: usize = 8;
const LAST: u8 = 1;
/// Time for the packets after the first of one message: the sender has them ready, and init must not wait for one that
/// holds them back.
const REST: Duration = Duration::from_secs(5);

/// One end of a socket pair.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The other end is gone.
    #[error("the other end of the channel is closed")]
    Closed,
    /// The message is larger than [`MAX_MESSAGE`] or carries more than [`MAX_DESCRIPTORS`].
    #[error("a message of {bytes} bytes and {descriptors} descriptors is above the channel's bound")]
    TooLarge {
        /// Bytes of its body.
        bytes: usize,
        /// Descriptors with it.
        descriptors: usize,
    },
    /// The other end speaks otherwise.
    #[error("a malformed message came over the channel: {what}")]
    Malformed {
        /// What was wrong.
        what: &'static str,
    },
    /// The kernel refused.
    #[error("the channel failed")]
    Io(#[source] io::Error),
}

impl From<rustix::io::Errno> for ChannelError {
    fn from(errno: rustix::io::Errno) -> Self {
        match errno {
            rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET => ChannelError::Closed,
            errno => ChannelError::Io(errno.into()),
        }
    }
}

/// Makes a connected pair of ends, closed on exec.
///
/// # Errors
/// The kernel's, such as too many open descriptors.
pub fn pair() -> io::Result<(Channel, Channel)> {
    let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    Ok((Channel { socket: a }, Channel { socket: b }))
}

impl Channel {
    /// Takes over a descriptor that is one end of a SOCK_SEQPACKET pair.
    ///
    /// # Errors
    /// When it is something else: a channel that came in as a file or a terminal is refused before a byte is read.
    pub fn from_fd(socket: OwnedFd) -> Result<Channel, ChannelError> {
        match rustix::net::sockopt::socket_type(&socket) {
            Ok(SocketType::SEQPACKET) => Ok(Channel { socket }),
            Ok(_) | Err(_) => Err(ChannelError::Malformed { what: "not a sequenced-packet socket" }),
        }
    }

    /// The descriptor, for polling.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Gives the descriptor up, for handing it to another process.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.socket
    }

    /// Sends one message; blocks while the other end's buffer is full.
    ///
    /// # Errors
    /// [`ChannelError::Closed`] when nobody listens any more.
    pub fn send<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> Result<(), ChannelError> {
        self.send_with(message, descriptors, SendFlags::NOSIGNAL)
    }

    /// As [`Channel::send`], but never blocks: for telling something to a process that is not trusted to listen.
    ///
    /// # Errors
    /// Also when the other end's buffer is full.
    pub fn try_send<T: Serialize>(&self, message: &T) -> Result<(), ChannelError> {
        self.send_with(message, &[], SendFlags::NOSIGNAL | SendFlags::DONTWAIT)
    }

    fn send_with<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Result<(), ChannelError> {
        let body = postcard::to_stdvec(message).map_err(|_| ChannelError::Malformed { what: "not serialisable" })?;
        if body.len() > MAX_MESSAGE || descriptors.len() > MAX_DESCRIPTORS {
            return Err(ChannelError::TooLarge { bytes: body.len(), descriptors: descriptors.len() });
        }
        let total = u32::try_from(body.len()).expect("bounded by MAX_MESSAGE");
        let mut chunks = body.chunks(PACKET).peekable();
        let mut first = true;
        loop {
            let chunk = chunks.next().unwrap_or_default();
            let last = chunks.peek().is_none();
            let mut header = [0u8; HEADER];
            header[0] = VERSION;
            header[1] = if last { LAST } else { 0 };
            header[4..].copy_from_slice(&total.to_le_bytes());
            self.send_packet(&header, chunk, if first { descriptors } else { &[] }, flags)?;
            if last {
                return Ok(());
            }
            first = false;
        }
    }

    fn send_packet(
        &self,
        header: &[u8],
        body: &[u8],
        fds: &[BorrowedFd<'_>],
        flags: SendFlags,
    ) -> Result<(), ChannelError> {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            let fits = control.push(SendAncillaryMessage::ScmRights(fds));
            debug_assert!(fits, "space is made for MAX_DESCRIPTORS");
        }
        loop {
            match sendmsg(&self.socket, &[IoSlice::new(header), IoSlice::new(body)], &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Waits for one message and the descriptors that came with it (closed on exec).
    ///
    /// # Errors
    /// [`ChannelError::Closed`] at end of file; [`ChannelError::Malformed`] when the other end breaks the framing.
    pub fn recv<T: DeserializeOwned>(&self) -> Result<(T, Vec<OwnedFd>), ChannelError> {
        let mut body = Vec::new();
        let mut descriptors = Vec::new();
        let mut deadline = None;
        loop {
            if let Some(deadline) = deadline {
                self.wait_until(deadline)?;
            }
            let mut packet = vec![0u8; HEADER + PACKET];
            let received = self.recv_packet(&mut packet, &mut descriptors)?;
            if received == 0 {
                return Err(ChannelError::Closed);
            }
            if received < HEADER || packet[0] != VERSION {
                return Err(ChannelError::Malformed { what: "bad header" });
            }
            let total = u32::from_le_bytes([packet[4], packet[5], packet[6], packet[7]]) as usize;
            body.extend_from_slice(&packet[HEADER..received]);
            if total > MAX_MESSAGE || body.len() > total || descriptors.len() > MAX_DESCRIPTORS {
                return Err(ChannelError::TooLarge { bytes: total, descriptors: descriptors.len() });
            }
            if packet[1] & LAST != 0 {
                if body.len() != total {
                    return Err(ChannelError::Malformed { what: "length does not match" });
                }
                let message =
                    postcard::from_bytes(&body).map_err(|_| ChannelError::Malformed { what: "unknown message" })?;
                return Ok((message, descriptors));
            }
            deadline.get_or_insert_with(|| Instant::now() + REST);
        }
    }

    fn wait_until(&self, deadline: Instant) -> Result<(), ChannelError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let left = rustix::event::Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut fds = [rustix::event::PollFd::from_borrowed_fd(self.fd(), rustix::event::PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&left)) {
                // Asked again each time: packets that trickle in must not keep the receiver either.
                Ok(ready) if ready > 0 && Instant::now() < deadline => return Ok(()),
                Ok(_) => return Err(ChannelError::Malformed { what: "the rest of the message did not come in time" }),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn recv_packet(&self, packet: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> Result<usize, ChannelError> {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = loop {
            match recvmsg(&self.socket, &mut [IoSliceMut::new(packet)], &mut control, RecvFlags::CMSG_CLOEXEC) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = part {
                descriptors.extend(rights);
            }
        }
        Ok(message.bytes)
    }

    /// Number of the descriptor, for messages about it.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_above_one_packet_arrive_whole_and_with_their_descriptors() {
        let (a, b) = pair().unwrap();
        let big = vec![7u8; 3 * PACKET + 5];
        let (read, write) = rustix::pipe::pipe().unwrap();
        let sender = std::thread::spawn(move || {
            a.send(&big, &[write.as_fd()]).unwrap();
            a.send(&vec![0u8; 0], &[]).unwrap();
        });
        let (body, descriptors): (Vec<u8>, _) = b.recv().unwrap();
        assert_eq!((body.len(), descriptors.len()), (3 * PACKET + 5, 1));
        rustix::io::write(&descriptors[0], b"x").unwrap();
        assert_eq!(rustix::io::read(&read, &mut [0u8; 4]).unwrap(), 1);
        let (body, descriptors): (Vec<u8>, _) = b.recv().unwrap();
        assert!(body.is_empty() && descriptors.is_empty());
        sender.join().unwrap();
        assert!(matches!(b.recv::<Vec<u8>>(), Err(ChannelError::Closed)));
    }

    #[test]
    fn a_message_at_the_bound_passes_and_one_above_is_refused() {
        let (a, b) = pair().unwrap();
        // Four bytes of length go before a vector of this size.
        let fits = vec![1u8; MAX_MESSAGE - 4];
        let reader = std::thread::spawn(move || b.recv::<Vec<u8>>().map(|(body, _)| body.len()));
        a.send(&fits, &[]).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), MAX_MESSAGE - 4);
        let above = a.send(&vec![1u8; MAX_MESSAGE - 3], &[]);
        assert!(matches!(above, Err(ChannelError::TooLarge { .. })), "{above:?}");
    }

    #[test]
    fn a_sender_that_holds_back_the_rest_of_a_message_is_not_waited_for() {
        let (a, b) = pair().unwrap();
        let mut header = [0u8; HEADER];
        header[0] = VERSION;
        header[4..].copy_from_slice(&100u32.to_le_bytes());
        a.send_packet(&header, b"begun", &[], SendFlags::NOSIGNAL).unwrap();
        let begun = Instant::now();
        assert!(matches!(b.recv::<Vec<u8>>(), Err(ChannelError::Malformed { .. })));
        assert!(begun.elapsed() >= REST);
    }

    #[test]
    fn a_descriptor_that_is_no_packet_socket_is_refused() {
        let (read, _write) = rustix::pipe::pipe().unwrap();
        assert!(matches!(Channel::from_fd(read), Err(ChannelError::Malformed { .. })));
    }
}
