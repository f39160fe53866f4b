//! A stand-in for the two ends of Vector: a sink that sends until it is answered OK, and a source that takes, refuses,
//! rejects or dawdles as it is told. The same protocol as Vector's, over the same connections.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use abort_reason_host::bridge::protocol::vector_client::VectorClient;
use abort_reason_host::bridge::protocol::vector_server::{Vector, VectorServer};
use abort_reason_host::bridge::protocol::{
    HealthCheckRequest, HealthCheckResponse, PushEventsRequest, PushEventsResponse,
};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status};

/// The part of Vector's events that the tests make and read: written by hand, so that it does not share the faults of
/// what it tests.
#[derive(Clone, PartialEq, Message)]
pub struct Wrapper {
    #[prost(message, optional, tag = "1")]
    pub log: Option<Log>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub metric: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Log {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
    #[prost(message, optional, tag = "4")]
    pub metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    #[prost(string, optional, tag = "4")]
    pub source_type: Option<String>,
    #[prost(bytes = "vec", tag = "7")]
    pub source_event_id: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(oneof = "Kind", tags = "1, 2, 4, 5, 6, 7, 8")]
    pub kind: Option<Kind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Kind {
    #[prost(bytes, tag = "1")]
    Bytes(Vec<u8>),
    #[prost(message, tag = "2")]
    Timestamp(prost_types::Timestamp),
    #[prost(int64, tag = "4")]
    Integer(i64),
    #[prost(double, tag = "5")]
    Float(f64),
    #[prost(bool, tag = "6")]
    Boolean(bool),
    #[prost(message, tag = "7")]
    Map(Map),
    #[prost(message, tag = "8")]
    Array(Array),
}

#[derive(Clone, PartialEq, Message)]
pub struct Map {
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Array {
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<Value>,
}

impl Log {
    pub fn text(&self, field: &str) -> Option<String> {
        match self.fields.get(field)?.kind.as_ref()? {
            Kind::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    pub fn integer(&self, field: &str) -> Option<i64> {
        match self.fields.get(field)?.kind.as_ref()? {
            Kind::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// A member of the object `abort`: a string, or a number.
    pub fn abort(&self, member: &str) -> Option<String> {
        self.object()?.text(member)
    }

    pub fn abort_integer(&self, member: &str) -> Option<i64> {
        self.object()?.integer(member)
    }

    fn object(&self) -> Option<Log> {
        let Kind::Map(abort) = self.fields.get("abort")?.kind.as_ref()? else { return None };
        Some(Log { fields: abort.fields.clone(), metadata: None })
    }
}

/// A line of a log as Vector's file source would hand it on; `number` makes it one of its own.
pub fn line(text: &[u8], number: u64) -> Vec<u8> {
    event(&[("message", text)], number)
}

/// An event with these fields; `number` makes it one of its own.
pub fn event(texts: &[(&str, &[u8])], number: u64) -> Vec<u8> {
    let value = |kind| Value { kind: Some(kind) };
    let texts = texts.iter().map(|(field, text)| ((*field).to_owned(), value(Kind::Bytes(text.to_vec()))));
    let mut fields: BTreeMap<_, _> = texts.collect();
    let timestamp = prost_types::Timestamp { seconds: 1_795_438_865, nanos: 7 };
    fields.insert("offset".to_owned(), value(Kind::Integer(number as i64)));
    fields.insert("timestamp".to_owned(), value(Kind::Timestamp(timestamp)));
    let mut source_event_id = vec![9; 16];
    source_event_id[8..].copy_from_slice(&number.to_be_bytes());
    let metadata = Some(Metadata { source_type: Some("file".to_owned()), source_event_id });
    Wrapper { log: Some(Log { fields, metadata }), metric: None }.encode_to_vec()
}

/// What the stand-in for the source does with a request.
#[derive(Clone, Default)]
pub struct Script {
    /// Requests that are refused from now on, with this status.
    pub refuse: Option<(tonic::Code, usize)>,
    /// Requests with these bytes in them are refused with this status.
    pub poison: Option<(tonic::Code, Vec<u8>)>,
    /// Time for each request.
    pub dawdle: Duration,
}

/// What the stand-in for the source has taken.
#[derive(Clone, Default)]
pub struct Taken {
    pub events: Arc<Mutex<Vec<Vec<u8>>>>,
    pub script: Arc<Mutex<Script>>,
}

impl Taken {
    pub fn logs(&self) -> Vec<Log> {
        let events = self.events.lock().unwrap();
        events.iter().filter_map(|event| Wrapper::decode(&event[..]).unwrap().log).collect()
    }

    pub fn count(&self) -> usize {
        self.events.lock().unwrap().len()
    }
}

#[tonic::async_trait]
impl Vector for Taken {
    async fn push_events(&self, request: Request<PushEventsRequest>) -> Result<Response<PushEventsResponse>, Status> {
        let events = request.into_inner().events;
        let script = self.script.lock().unwrap().clone();
        tokio::time::sleep(script.dawdle).await;
        if let Some((code, left)) = script.refuse.filter(|(_, left)| *left > 0) {
            self.script.lock().unwrap().refuse = Some((code, left - 1));
            return Err(Status::new(code, "as the script says"));
        }
        if let Some((code, poison)) = script.poison
            && events.iter().any(|event| event.windows(poison.len()).any(|bytes| bytes == poison))
        {
            return Err(Status::new(code, "poison"));
        }
        self.events.lock().unwrap().extend(events.iter().map(|event| event.to_vec()));
        Ok(Response::new(PushEventsResponse {}))
    }

    async fn health_check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse::default()))
    }
}

/// A server that runs; dropped, it is gone in the middle of whatever it did.
pub struct Source(JoinHandle<()>);

impl Source {
    pub async fn start(address: SocketAddr, taken: &Taken) -> Source {
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let service = VectorServer::new(taken.clone()).max_decoding_message_size(100 << 20);
        let server = Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener));
        Source(tokio::spawn(async move { server.await.unwrap() }))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// One attempt to send, as Vector's sink makes it.
pub async fn send(address: SocketAddr, events: &[Vec<u8>]) -> Result<(), Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(Duration::from_mins(1));
    let channel = endpoint.connect().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let events = events.iter().map(|event| event.clone().into()).collect();
    VectorClient::new(channel).push_events(PushEventsRequest { events }).await.map(|_| ())
}

/// Sends until it is answered OK.
pub async fn deliver(address: SocketAddr, events: &[Vec<u8>]) {
    while send(address, events).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An address that is free, and that no other test takes while this one runs: its port is locked by a file, and none of
/// those that the system gives to whoever asks for any.
pub fn free_address() -> SocketAddr {
    static LOCKS: Mutex<Vec<std::fs::File>> = Mutex::new(Vec::new());
    const PORTS: std::ops::Range<u16> = 12_000..28_000;
    let first = std::process::id() as usize * 16 % PORTS.len();
    for port in PORTS.skip(first).chain(PORTS.take(first)) {
        let lock = std::fs::File::create(std::env::temp_dir().join(format!("abort-reason-test-port-{port}"))).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if lock.try_lock().is_ok() && std::net::TcpListener::bind(address).is_ok() {
            LOCKS.lock().unwrap().push(lock);
            return address;
        }
    }
    panic!("no port is free");
}

/// A bridge that runs; dropped, it is killed.
pub struct Bridge(pub Child);

impl Bridge {
    pub fn start(command: &mut Command) -> Bridge {
        Bridge(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.0.id() as i32).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A bridge with the project's component between two addresses.
pub fn bridge(listen: SocketAddr, forward: SocketAddr, state_dir: &Path, config: &Path) -> Command {
    let mut command = crate::common::program();
    command.args(["bridge", "--listen", &listen.to_string(), "--forward", &format!("http://{forward}")]);
    command.arg("--state-dir").arg(state_dir).arg("--config").arg(config);
    command.arg("--component").arg(crate::common::component());
    // What was compiled is shared by the tests; nothing else is.
    command.arg("--cache-dir").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
    command
}
