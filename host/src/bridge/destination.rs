//! Where events go: Vector's `vector` source, another bridge, a file, or standard output.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tonic::Code;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::dead::append;
use super::settings::{Compression, Forward, Settings, Tls};
use super::wire;
use super::wire::vector::PushEventsRequest;
use super::wire::vector::vector_client::VectorClient;
use crate::failure::{Exit, Failure, Result};

/// Why events were not accepted.
#[derive(Debug)]
pub(super) enum Rejection {
    /// Another attempt may go through.
    ForNow {
        /// For the metrics: few different ones.
        kind: String,
        cause: String,
        /// The events themselves may be at fault: a receiver that stumbles over one says no more than that it failed.
        doubtful: bool,
    },
    /// The same events will never be accepted.
    ForGood(String),
}

/// A destination. Clones are the same one.
#[derive(Clone)]
pub(super) enum Destination {
    Vector(VectorClient<Channel>),
    Text(Arc<Mutex<Text>>),
}

/// A destination that takes a JSON object a line.
pub(super) enum Text {
    /// Opened for each request: who rotates it may rename it.
    File(PathBuf),
    Stdout,
}

impl Destination {
    /// Makes ready for sending; a connection is only made with the first attempt.
    pub(super) fn open(settings: &Settings) -> Result<Destination> {
        match &settings.forward {
            Forward::Vector(address) => vector(address, settings).map(Destination::Vector),
            Forward::File(path) => {
                file(path).map_err(|error| {
                    Failure::new(Exit::CantCreate, format!("cannot write to {}: {error}", path.display()))
                        .hint("Check `forward: file:PATH` and the permissions of its folder.")
                })?;
                Ok(Destination::Text(Arc::new(Mutex::new(Text::File(path.clone())))))
            }
            Forward::Stdout => Ok(Destination::Text(Arc::new(Mutex::new(Text::Stdout)))),
        }
    }

    /// Makes one attempt.
    pub(super) async fn send(&self, events: &[Bytes]) -> std::result::Result<(), Rejection> {
        match self {
            Destination::Vector(client) => {
                let request = PushEventsRequest { events: events.to_vec() };
                client.clone().push_events(request).await.map(|_| ()).map_err(|status| rejection(&status))
            }
            Destination::Text(text) => {
                let text = Arc::clone(text);
                let events = events.to_vec();
                let write = move || text.lock().unwrap_or_else(PoisonError::into_inner).write(&events);
                tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(unwritten(&error)))
            }
        }
    }
}

fn vector(address: &str, settings: &Settings) -> Result<VectorClient<Channel>> {
    let unusable = |error: tonic::transport::Error| {
        Failure::new(Exit::Config, format!("cannot forward to {address}: {}", causes(&error)))
            .hint("Check `forward` and the `forward_tls_…_file` keys.")
    };
    let mut endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(unusable)?
        .connect_timeout(settings.forward_timeout)
        .timeout(settings.forward_timeout)
        .tcp_nodelay(true)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .keep_alive_while_idle(true)
        .http2_keep_alive_interval(std::time::Duration::from_secs(30));
    if address.starts_with("https://") {
        let Tls { identity, ca } = &settings.forward_tls;
        let mut tls = ClientTlsConfig::new();
        if let Some(ca) = ca {
            tls = tls.ca_certificate(Certificate::from_pem(ca));
        }
        if let Some((crt, key)) = identity {
            tls = tls.identity(Identity::from_pem(crt, key));
        }
        endpoint = endpoint.tls_config(tls).map_err(unusable)?;
    }
    let client = VectorClient::new(endpoint.connect_lazy()).max_decoding_message_size(1 << 20);
    Ok(match settings.forward_compression {
        Compression::None => client,
        Compression::Gzip => client.send_compressed(CompressionEncoding::Gzip),
        Compression::Zstd => client.send_compressed(CompressionEncoding::Zstd),
    })
}

/// What servers say of a request that is longer than they take.
const TOO_LARGE: [&str; 3] = ["too large", "larger than max", "exceeds maximum"];

/// What an answer means. Of those that Vector's source and servers like it give, only a few are about the events; the
/// others are about the moment, or about a configuration that someone may mend.
fn rejection(status: &tonic::Status) -> Rejection {
    let cause = match std::error::Error::source(status) {
        Some(source) => format!("{}: {}", status.message(), causes(source)),
        None => status.message().to_owned(),
    };
    let code = status.code();
    let for_good = match code {
        Code::DataLoss | Code::InvalidArgument | Code::OutOfRange => true,
        // The code is that of a full server, too; the words, of this bridge and of other servers, tell them apart.
        Code::ResourceExhausted => TOO_LARGE.iter().any(|words| cause.contains(words)),
        _ => false,
    };
    let cause = format!("{code:?}: {cause}");
    if for_good {
        return Rejection::ForGood(cause);
    }
    let doubtful = matches!(code, Code::Internal | Code::Unknown | Code::Cancelled);
    Rejection::ForNow { kind: format!("{code:?}"), cause, doubtful }
}

/// An error with what is below it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        text.push_str(": ");
        text.push_str(&error.to_string());
        below = error.source();
    }
    text
}

fn file(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Text {
    fn write(&mut self, events: &[Bytes]) -> std::result::Result<(), Rejection> {
        let mut lines = Vec::new();
        for event in events {
            let Some(line) = wire::text(event) else {
                return Err(Rejection::ForGood("metrics and traces have no form as text".to_owned()));
            };
            lines.extend(line);
            lines.push(b'\n');
        }
        let written = match self {
            Text::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(&lines).and_then(|()| out.flush())
            }
            Text::File(path) => file(path).and_then(|mut file| append(&mut file, &lines)),
        };
        written.map_err(|error| unwritten(&error))
    }
}

fn unwritten(cause: &dyn std::fmt::Display) -> Rejection {
    Rejection::ForNow { kind: "write".to_owned(), cause: cause.to_string(), doubtful: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("aborts"), folder.path().join("aborts.1"));
        let mut text = Text::File(path.clone());
        let mut write = |event: &str| text.write(&[wire::own(event.as_bytes()).unwrap()]).unwrap();
        write("{\"n\":1}");
        std::fs::rename(&path, &old).unwrap();
        write("{\"n\":2}");
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!([read(old), read(path)], ["{\"n\":1}\n", "{\"n\":2}\n"]);
    }
}
