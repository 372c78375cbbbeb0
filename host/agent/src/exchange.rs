//! One turn's request: sent, read, and sent again where that may help.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;

use crate::agent::Agent;
use crate::events::Event;
use crate::failure;
use crate::limits::{ERROR_BODY_BYTES, STALL, TEXT_DELTA_BYTES};
use crate::model::{Answer, AnswerError, Wire, error_message};
use crate::retry::{self, Next, Passing};
use crate::stopped::Stopped;
use crate::transport::{BodyStream, ModelRequest, ModelResponse, TransportError};

/// Why one try gave no answer.
enum Trouble {
    Passing(Passing),
    /// The provider does not take the request in this form; this one says the same.
    Amend(Bytes),
    Lasting(Stopped),
}

impl Agent {
    /// Gets the answer to `body`, with as many tries as that takes and the bounds allow.
    pub(crate) async fn exchange(&self, wire: &dyn Wire, turn: u32, mut body: Bytes) -> Result<Answer, Stopped> {
        let mut attempt = 1;
        loop {
            let request = ModelRequest {
                path: wire.path().to_owned(),
                headers: wire.headers(),
                body: body.clone(),
                turn,
                attempt,
            };
            let failure = match self.once(wire, request).await {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Lasting(stopped)) => return Err(stopped),
                // A wire amends a request once: the next one says it already.
                Err(Trouble::Amend(amended)) => {
                    body = amended;
                    continue;
                }
                Err(Trouble::Passing(failure)) => failure,
            };
            match retry::next(&failure, attempt, self.parts.clock.jitter()) {
                Next::GiveUp(reason) => return Err(Stopped::failed(reason)),
                Next::Wait(wait) => {
                    self.emit(Event::Retry { turn, attempt, wait, reason: failure.reason }).await;
                    self.parts.clock.sleep(wait).await;
                }
            }
            attempt += 1;
        }
    }

    async fn once(&self, wire: &dyn Wire, request: ModelRequest) -> Result<Answer, Trouble> {
        let (turn, sent_body) = (request.turn, request.body.clone());
        let sent = self.unless_stalled(self.parts.model.send(request)).await?;
        let mut response = sent?;
        if response.status != 200 {
            let body = self.error_body(&mut response.body).await;
            if let Some(amended) = wire.amended(response.status, &body, &sent_body) {
                return Err(Trouble::Amend(amended.into()));
            }
            let reason = failure::reason(&response, &error_message(&body));
            if !retry::may_pass(&response, &body) {
                return Err(Trouble::Lasting(Stopped::failed(reason)));
            }
            let retry_after = retry::pause(&response, self.parts.clock.wall());
            return Err(Trouble::Passing(Passing { reason, retry_after }));
        }
        if let Some(what) = no_stream(&response) {
            let message = error_message(&self.error_body(&mut response.body).await);
            return Err(Trouble::Lasting(Stopped::failed(format!(
                "the model answered with {what}, not with a stream: {message}"
            ))));
        }
        let mut decoder = wire.decoder();
        while !decoder.is_whole() {
            let Some(chunk) = self.unless_stalled(response.body.next()).await? else { break };
            let text = decoder.feed(&chunk?)?;
            for piece in pieces(&text, TEXT_DELTA_BYTES) {
                self.emit(Event::TextDelta { turn, text: piece.to_owned() }).await;
            }
        }
        Ok(decoder.finish()?)
    }

    /// What an error body says, as far as it can be read: the status is the failure, not the body.
    async fn error_body(&self, body: &mut BodyStream) -> BytesMut {
        let mut read = BytesMut::new();
        while read.len() < ERROR_BODY_BYTES {
            match self.unless_stalled(body.next()).await {
                Ok(Some(Ok(chunk))) => read.extend_from_slice(&chunk),
                _ => break,
            }
        }
        read.truncate(ERROR_BODY_BYTES);
        read
    }

    async fn unless_stalled<T>(&self, wait: impl Future<Output = T>) -> Result<T, Trouble> {
        tokio::select! {
            biased;
            got = wait => Ok(got),
            () = self.parts.clock.sleep(STALL) => Err(passing(format!("the model sent nothing for {}", seconds(STALL)))),
        }
    }
}

/// What came instead of a stream: a page of a proxy, or one JSON document. Waiting for the end of such a stream would only
/// say that it was cut.
fn no_stream(response: &ModelResponse) -> Option<&'static str> {
    let kind = response.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
    match kind.as_str() {
        "text/html" => Some("a page"),
        "application/json" => Some("a document"),
        _ => None,
    }
}

/// `text` in pieces of at most `bytes`, none of which splits a character.
fn pieces(mut text: &str, bytes: usize) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let mut end = text.len().min(bytes);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        text = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

fn passing(reason: String) -> Trouble {
    Trouble::Passing(Passing { reason, retry_after: None })
}

impl From<TransportError> for Trouble {
    fn from(error: TransportError) -> Self {
        if error.is_retryable() { passing(error.to_string()) } else { Trouble::Lasting(error.into()) }
    }
}

impl From<AnswerError> for Trouble {
    fn from(error: AnswerError) -> Self {
        if error.is_retryable() {
            passing(error.to_string())
        } else {
            Trouble::Lasting(Stopped::failed(error.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_long_as_they_may_be_and_split_no_character() {
        assert_eq!(pieces("", 4).count(), 0);
        assert_eq!(pieces("abcd", 4).collect::<Vec<_>>(), ["abcd"]);
        assert_eq!(pieces("abcde", 4).collect::<Vec<_>>(), ["abcd", "e"]);
        assert_eq!(pieces("abc\u{e9}d", 4).collect::<Vec<_>>(), ["abc", "\u{e9}d"]);
    }
}
