//! The journal, kept by the trusted half.
//!
//! An entry's body is the JSON of [`Entry`]. A body above [`INLINE_BYTES`] is stored as blobs instead, and the entry says
//! `{"body_blobs": COUNT}`: its first blobs, joined, are the body. The whole result of a call is the last blob.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use serde_json::json;
use sha2::{Digest, Sha256};
use stigmer_agent::limits::ANSWER_BYTES;
use stigmer_agent::{Entry, Journal, JournalError};
use stigmer_proto::runner as wire;
use tonic::{Code, Status};

use crate::outbox::Outbox;
use crate::rpc::{Rpc, chunks};

/// Longest body that travels in its entry. Ten entries in one commit stay well below one message.
const INLINE_BYTES: usize = 32 << 10;
/// Longest blob.
const BLOB_BYTES: usize = 8 << 20;
/// Longest body, in blobs: a model's answer, and what JSON makes of it.
const BODY_BLOBS: usize = 2 * ANSWER_BYTES / BLOB_BYTES;

/// Stores entries at the trusted half.
pub(crate) struct KeptJournal {
    pub(crate) rpc: Rpc,
    pub(crate) outbox: Outbox,
}

#[async_trait]
impl Journal for KeptJournal {
    async fn commit(&self, entries: Vec<Entry>) -> Result<(), JournalError> {
        let mut sent = Vec::with_capacity(entries.len());
        for entry in entries {
            sent.push(self.prepare(entry).await?);
        }
        self.outbox.commit(sent).await
    }
}

impl KeptJournal {
    async fn prepare(&self, entry: Entry) -> Result<wire::Entry, JournalError> {
        let (id, kind, turn, call) = names(&entry);
        let mut body: Bytes =
            serde_json::to_vec(&entry).map_err(|error| JournalError::Refused(error.to_string()))?.into();
        let mut blobs = Vec::new();
        if body.len() > INLINE_BYTES {
            let mut rest = body;
            if rest.len() > BODY_BLOBS * BLOB_BYTES {
                return Err(JournalError::Refused(format!("an entry of {} bytes", rest.len())));
            }
            while !rest.is_empty() {
                blobs.push(self.put(rest.split_to(rest.len().min(BLOB_BYTES))).await?);
            }
            body = json!({ "body_blobs": blobs.len() }).to_string().into();
        }
        if let Entry::CallEnd(end) = &entry
            && let Some(full) = &end.full
        {
            blobs.push(self.put(full.slice(..full.len().min(BLOB_BYTES))).await?);
        }
        Ok(wire::Entry { id, seq: 0, kind: kind.into(), turn, call, body, blobs, history: false, held: false })
    }

    async fn put(&self, data: Bytes) -> Result<wire::Blob, JournalError> {
        let parts = chunks(data).map(|data| wire::Chunk { data });
        // The name is the trusted half's: it takes out what it knows to be secret, and stores the rest.
        let stored = self.rpc.runner().put_blob(tokio_stream::iter(parts)).await.map_err(|status| lost(&status))?;
        Ok(stored.into_inner())
    }
}

fn lost(status: &Status) -> JournalError {
    let message = status.message().to_owned();
    match status.code() {
        Code::FailedPrecondition | Code::ResourceExhausted | Code::InvalidArgument => JournalError::Refused(message),
        _ => JournalError::Lost(message),
    }
}

/// Id, kind, turn and call. The id follows from the entry, so that sending it again changes nothing.
fn names(entry: &Entry) -> (String, wire::EntryKind, u32, String) {
    let turn = |turn: u32, what| format!("turn-{turn}-{what}");
    let call = |call: stigmer_agent::CallId, what| format!("call-{call}-{what}");
    match entry {
        Entry::TurnBegin(it) => (turn(it.turn, "begin"), wire::EntryKind::TurnBegin, it.turn, String::new()),
        Entry::TurnEnd(it) => (turn(it.turn, "end"), wire::EntryKind::TurnEnd, it.turn, String::new()),
        Entry::CallBegin(it) => {
            (call(it.call, "begin"), wire::EntryKind::CallBegin, it.call.turn(), it.call.to_string())
        }
        Entry::CallEnd(it) => (call(it.call, "end"), wire::EntryKind::CallEnd, it.call.turn(), it.call.to_string()),
    }
}

/// Why a stored entry could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// It is not what this program writes.
    #[error("entry `{id}` of the journal makes no sense: {reason}")]
    Malformed { id: String, reason: String },
    /// A blob of it did not come.
    #[error("entry `{id}` of the journal has lost a part: {reason}")]
    Blob { id: String, reason: String },
}

/// Reads a stored entry. The whole of a long result is fetched only with `full`: it is needed when scratch was lost.
pub(crate) async fn read(rpc: &Rpc, entry: wire::Entry, full: bool) -> Result<Entry, ReplayError> {
    let wire::Entry { id, body, blobs, .. } = entry;
    let malformed = |reason: String| ReplayError::Malformed { id: id.clone(), reason };
    let lost = |reason: String| ReplayError::Blob { id: id.clone(), reason };
    let mut blobs = blobs.into_iter();
    let value: serde_json::Value = serde_json::from_slice(&body).map_err(|error| malformed(error.to_string()))?;
    let in_blobs = value.get("body_blobs").map(|count| count.as_u64().unwrap_or(u64::MAX));
    let mut read: Entry = match in_blobs {
        None => serde_json::from_value(value).map_err(|error| malformed(error.to_string()))?,
        Some(count) if count <= BODY_BLOBS as u64 => {
            let mut joined = Vec::new();
            for _ in 0..count {
                let blob = blobs.next().ok_or_else(|| malformed("fewer blobs than it names".to_owned()))?;
                joined.extend_from_slice(&get(rpc, blob).await.map_err(lost)?);
            }
            serde_json::from_slice(&joined).map_err(|error| malformed(error.to_string()))?
        }
        Some(count) => return Err(malformed(format!("{count} blobs"))),
    };
    if let (Entry::CallEnd(end), Some(blob), true) = (&mut read, blobs.next(), full) {
        end.full = Some(get(rpc, blob).await.map_err(lost)?);
    }
    Ok(read)
}

async fn get(rpc: &Rpc, blob: wire::Blob) -> Result<Bytes, String> {
    let (sha256, size) = (blob.sha256.clone(), blob.size);
    if size > BLOB_BYTES as u64 {
        return Err(format!("a blob of {size} bytes"));
    }
    let mut chunks = rpc.runner().get_blob(blob).await.map_err(|status| status.message().to_owned())?.into_inner();
    let mut data = BytesMut::new();
    while let Some(chunk) = chunks.message().await.map_err(|status| status.message().to_owned())? {
        data.extend_from_slice(&chunk.data);
        if data.len() as u64 > size {
            return Err("more bytes came than were stored".to_owned());
        }
    }
    if Sha256::digest(&data)[..] != sha256[..] {
        return Err("other bytes came than were stored".to_owned());
    }
    Ok(data.freeze())
}
