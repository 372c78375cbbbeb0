//! The stream to the trusted half.

use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use stigmer_proto::MAX_MESSAGE;
use stigmer_proto::runner::model_client::ModelClient;
use stigmer_proto::runner::runner_client::RunnerClient;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

/// Bytes that may be on their way within one call, and over all calls: a few chunks, so that neither waits for the
/// other's every one.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Calls over the one stream. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Rpc(Channel);

impl Rpc {
    /// Takes the stream over. Nothing is sent yet.
    ///
    /// # Errors
    /// When the descriptor cannot be polled.
    pub(crate) fn new(stream: OwnedFd) -> io::Result<Rpc> {
        let stream = std::os::unix::net::UnixStream::from(stream);
        stream.set_nonblocking(true)?;
        let mut stream = Some(UnixStream::from_std(stream)?);
        // There is one stream and there will be no other: a second connection is the end of the lease.
        let connector = tower::service_fn(move |_: tonic::transport::Uri| {
            let stream = stream.take().map(TokioIo::new);
            std::future::ready(stream.ok_or_else(|| io::Error::other("the stream to the trusted half has ended")))
        });
        // The name only fills a header.
        let endpoint = Endpoint::from_static("http://trusted-half")
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        Ok(Rpc(endpoint.connect_with_connector_lazy(connector)))
    }

    pub(crate) fn runner(&self) -> RunnerClient<Channel> {
        RunnerClient::new(self.0.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(crate) fn model(&self) -> ModelClient<Channel> {
        ModelClient::new(self.0.clone()).max_decoding_message_size(MAX_MESSAGE)
    }
}

/// `data` in pieces that fit a message.
pub(crate) fn chunks(mut data: Bytes) -> impl Iterator<Item = Bytes> + Send {
    std::iter::from_fn(move || (!data.is_empty()).then(|| data.split_to(data.len().min(stigmer_proto::CHUNK))))
}
