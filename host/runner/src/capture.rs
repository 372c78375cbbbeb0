//! A command's output: read as it comes, kept within a bound, counted beyond it.
//!
//! Both pipes are always read to their end, however much comes: a command must never wait because its output is long.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use stigmer_agent::Output;
use stigmer_policy::limits::OUTPUT_BYTES;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

/// Bytes kept from the beginning, and again from the end, of what a command says.
pub(crate) const HALF_BYTES: usize = OUTPUT_BYTES as usize / 2;
/// Bytes read at once; a live piece is no longer.
const READ_BYTES: usize = 8 << 10;

/// Our end of a pipe, and the command's.
pub(crate) struct Pipe {
    pub(crate) ours: Receiver,
    pub(crate) theirs: OwnedFd,
}

/// Makes a pipe whose writing end blocks, as programs expect, and whose reading end does not.
pub(crate) fn pipe() -> io::Result<Pipe> {
    let (read, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    let flags = rustix::fs::fcntl_getfl(&read)?;
    rustix::fs::fcntl_setfl(&read, flags | OFlags::NONBLOCK)?;
    Ok(Pipe { ours: Receiver::from_owned_fd(read)?, theirs })
}

/// Both outputs in the order in which they arrived.
#[derive(Default)]
pub(crate) struct Captured {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Bytes of stdout and stderr, kept or not.
    pub(crate) totals: [u64; 2],
}

impl Captured {
    fn take(&mut self, output: Output, bytes: &[u8]) {
        self.totals[usize::from(output == Output::Stderr)] += bytes.len() as u64;
        let (head, rest) = bytes.split_at(bytes.len().min(HALF_BYTES - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let over = self.tail.len().saturating_sub(HALF_BYTES);
        self.tail.drain(..over);
    }

    /// Bytes that were not kept.
    pub(crate) fn left_out(&self) -> u64 {
        self.totals[0] + self.totals[1] - (self.head.len() + self.tail.len()) as u64
    }

    /// Everything that was kept, as text; what is no UTF-8 becomes U+FFFD. Between head and tail a line says how much is
    /// missing.
    pub(crate) fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        match self.left_out() {
            0 => String::from_utf8_lossy(&[&self.head[..], &tail].concat()).into_owned(),
            bytes => format!(
                "{}\n\n[{bytes} bytes left out here]\n\n{}",
                String::from_utf8_lossy(&self.head),
                String::from_utf8_lossy(&tail)
            ),
        }
    }
}

/// A piece of live output.
pub(crate) struct Piece {
    pub(crate) output: Output,
    pub(crate) text: String,
}

/// Reads both pipes until both have ended. The future of `next` may be dropped and made again.
pub(crate) struct Reading {
    pipes: [Option<Receiver>; 2],
    /// The beginning of a character whose rest has not come.
    unfinished: [Vec<u8>; 2],
    pub(crate) captured: Captured,
}

impl Reading {
    pub(crate) fn new(stdout: Receiver, stderr: Receiver) -> Reading {
        Reading { pipes: [Some(stdout), Some(stderr)], unfinished: Default::default(), captured: Captured::default() }
    }

    /// The next piece; `None` when both outputs have ended.
    pub(crate) async fn next(&mut self) -> Option<Piece> {
        while self.pipes.iter().any(Option::is_some) {
            let mut buffers = [[0; READ_BYTES]; 2];
            let [out, err] = &mut self.pipes;
            let [out_buffer, err_buffer] = &mut buffers;
            // Biased, so that of two outputs that are both there the ordinary one comes first.
            let (place, read) = tokio::select! {
                biased;
                read = read(out, out_buffer) => (0, read),
                read = read(err, err_buffer) => (1, read),
            };
            let output = if place == 0 { Output::Stdout } else { Output::Stderr };
            let count = read.unwrap_or(0);
            self.captured.take(output, &buffers[place][..count]);
            let waiting = &mut self.unfinished[place];
            waiting.extend_from_slice(&buffers[place][..count]);
            if count == 0 {
                self.pipes[place] = None;
            }
            let text = whole_characters(waiting, count == 0);
            if !text.is_empty() {
                return Some(Piece { output, text });
            }
        }
        None
    }
}

async fn read(pipe: &mut Option<Receiver>, buffer: &mut [u8]) -> io::Result<usize> {
    match pipe {
        Some(pipe) => pipe.read(buffer).await,
        None => std::future::pending().await,
    }
}

/// Takes what is complete out of `bytes`; all of it at the end.
fn whole_characters(bytes: &mut Vec<u8>, at_end: bool) -> String {
    let mut whole = bytes.len();
    if !at_end {
        // A character has at most four bytes: only the last three can begin one whose rest is still to come.
        for back in 1..=bytes.len().min(3) {
            let at = bytes.len() - back;
            if let Err(error) = std::str::from_utf8(&bytes[at..])
                && error.error_len().is_none()
                && error.valid_up_to() == 0
            {
                whole = at;
            }
        }
    }
    let rest = bytes.split_off(whole);
    let text = String::from_utf8_lossy(bytes).into_owned();
    *bytes = rest;
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_at_the_bound_is_whole_and_one_byte_more_is_counted() {
        let mut captured = Captured::default();
        captured.take(Output::Stdout, &vec![b'a'; HALF_BYTES + 5]);
        captured.take(Output::Stderr, &vec![b'b'; HALF_BYTES - 5]);
        assert_eq!((captured.left_out(), captured.text().len()), (0, 2 * HALF_BYTES));
        captured.take(Output::Stderr, b"z");
        assert_eq!(captured.left_out(), 1);
        assert_eq!(captured.totals, [HALF_BYTES as u64 + 5, HALF_BYTES as u64 - 4]);
        let text = captured.text();
        assert!(
            text.contains("\n\n[1 bytes left out here]\n\n") && text.ends_with("bz"),
            "{}",
            &text[text.len() - 9..]
        );
    }

    #[test]
    fn a_character_in_two_reads_stays_one() {
        let mut bytes = "aé🦀".as_bytes()[..5].to_vec();
        assert_eq!(whole_characters(&mut bytes, false), "aé");
        bytes.extend_from_slice(&"🦀".as_bytes()[2..]);
        assert_eq!(whole_characters(&mut bytes, false), "🦀");
        assert!(bytes.is_empty());
        let mut broken = b"x\xff\xe2\x82".to_vec();
        assert_eq!(whole_characters(&mut broken, false), "x\u{fffd}");
        assert_eq!(whole_characters(&mut broken, true), "\u{fffd}");
    }
}
