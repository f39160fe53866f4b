//! What the bridge can be told: each key in the file, as an option, and as an environment variable.
//!
//! The doc comments of the keys are the help of the options: plain text, no Markdown.
#![allow(clippy::doc_markdown)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use abort_reason::Config;
use clap::{Args, ValueEnum, ValueHint};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cli;
use crate::failure::{Exit, Failure, Result};
use crate::sandbox::Limits;
use crate::settings::{Room, fit, read};

/// The keys as they may be given. An option comes before its environment variable, and that before the file.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// Where Vector's `vector` sink finds the bridge [default: 127.0.0.1:6000]
    #[arg(long, value_name = "ADDR", env = "ABORT_REASON_LISTEN")]
    listen: Option<SocketAddr>,

    /// Where events go: `http://HOST:PORT` or `https://HOST:PORT` of Vector's `vector` source or another bridge, a file as
    /// `file:PATH`, or `-` for standard output
    #[arg(long, value_name = "DESTINATION", env = "ABORT_REASON_FORWARD")]
    forward: Option<String>,

    /// Folder of the journal; it belongs to one bridge [default: /var/lib/abort-reason]
    #[arg(long, value_name = "FOLDER", env = "ABORT_REASON_STATE_DIR", value_hint = ValueHint::DirPath)]
    state_dir: Option<PathBuf>,

    /// The component [default: abort_reason.component.wasm beside this program]
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_COMPONENT", value_hint = ValueHint::FilePath)]
    component: Option<PathBuf>,

    /// Folder for the component in compiled form, which is trusted; it makes the next start quick [default: compiled in the
    /// state folder]
    #[arg(long, value_name = "FOLDER", env = "ABORT_REASON_CACHE_DIR", value_hint = ValueHint::DirPath)]
    cache_dir: Option<PathBuf>,

    /// Configuration of the component; of the project's own, as `abort-reason check` takes it
    #[arg(skip)]
    transform: Option<Map<String, Value>>,

    /// Where /health, /ready and /metrics are answered by HTTP; nowhere without it
    #[arg(long, value_name = "ADDR", env = "ABORT_REASON_API_LISTEN")]
    api_listen: Option<SocketAddr>,

    /// Certificate of the bridge, PEM; with it, Vector must speak TLS
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_TLS_CRT_FILE", value_hint = ValueHint::FilePath)]
    tls_crt_file: Option<PathBuf>,

    /// Key of the bridge's certificate, PEM
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_TLS_KEY_FILE", value_hint = ValueHint::FilePath)]
    tls_key_file: Option<PathBuf>,

    /// Authority whose certificate every client must show, PEM
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_TLS_CA_FILE", value_hint = ValueHint::FilePath)]
    tls_ca_file: Option<PathBuf>,

    /// Authority of an https destination's certificate, PEM
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_FORWARD_TLS_CA_FILE", value_hint = ValueHint::FilePath)]
    forward_tls_ca_file: Option<PathBuf>,

    /// Certificate to show to an https destination, PEM
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_FORWARD_TLS_CRT_FILE", value_hint = ValueHint::FilePath)]
    forward_tls_crt_file: Option<PathBuf>,

    /// Key of the certificate to show, PEM
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_FORWARD_TLS_KEY_FILE", value_hint = ValueHint::FilePath)]
    forward_tls_key_file: Option<PathBuf>,

    /// Compression towards the destination [default: none]
    #[arg(long, value_name = "CODING", env = "ABORT_REASON_FORWARD_COMPRESSION")]
    forward_compression: Option<Compression>,

    /// Requests under way to the destination at once; 1 keeps their order [default: 8]
    #[arg(long, value_name = "NUMBER", env = "ABORT_REASON_FORWARD_CONCURRENCY")]
    forward_concurrency: Option<u16>,

    /// Seconds that one attempt to deliver may take [default: 60]
    #[arg(long, value_name = "SECONDS", env = "ABORT_REASON_FORWARD_TIMEOUT_SECS")]
    forward_timeout_secs: Option<u32>,

    /// Bytes that the journal may hold; beyond, requests are refused until the destination takes more [default: 1 GiB]
    #[arg(long, value_name = "BYTES", env = "ABORT_REASON_JOURNAL_MAX_BYTES")]
    journal_max_bytes: Option<u64>,

    /// File for events that nobody takes [default: dead-letters.ndjson in the state folder]
    #[arg(long, value_name = "FILE", env = "ABORT_REASON_DEAD_LETTER_FILE", value_hint = ValueHint::FilePath)]
    dead_letter_file: Option<PathBuf>,

    /// Bytes of the largest request that is read [default: 100 MiB]
    #[arg(long, value_name = "BYTES", env = "ABORT_REASON_MAX_REQUEST_BYTES")]
    max_request_bytes: Option<u32>,

    /// Requests that are read and worked on at once [default: 64]
    #[arg(long, value_name = "NUMBER", env = "ABORT_REASON_MAX_CONCURRENT_REQUESTS")]
    max_concurrent_requests: Option<u16>,

    /// Seconds to deliver what is in the journal when the bridge is told to stop; the rest goes at the next start
    /// [default: 10]
    #[arg(long, value_name = "SECONDS", env = "ABORT_REASON_DRAIN_TIMEOUT_SECS")]
    drain_timeout_secs: Option<u32>,

    /// MiB of memory that the component may use [default: 512]
    #[arg(long, value_name = "MIB", env = "ABORT_REASON_MEMORY_LIMIT_MIB")]
    memory_limit_mib: Option<u32>,

    /// Seconds that the component may take for a batch before it counts as hung [default: 30]
    #[arg(long, value_name = "SECONDS", env = "ABORT_REASON_CALL_TIMEOUT_SECS")]
    call_timeout_secs: Option<u32>,

    /// How the bridge writes its own log [default: text]
    #[arg(long, value_name = "FORMAT", env = "ABORT_REASON_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

/// Compression of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    /// As they are
    #[default]
    None,
    /// gzip
    Gzip,
    /// Zstandard
    Zstd,
}

/// Formats of the bridge's own log, on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Sentences with fields
    #[default]
    Text,
    /// A JSON object a line
    Json,
}

/// A certificate with its key, and an authority, as PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    pub ca: Option<Vec<u8>>,
}

/// Where events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Forward {
    /// Vector's protocol.
    Vector(String),
    File(PathBuf),
    Stdout,
}

/// The keys with their defaults, checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub listen: SocketAddr,
    pub tls: Tls,
    pub forward: Forward,
    pub forward_tls: Tls,
    pub forward_compression: Compression,
    pub forward_concurrency: usize,
    pub forward_timeout: Duration,
    pub state_dir: PathBuf,
    pub component: Option<PathBuf>,
    pub cache_dir: PathBuf,
    pub transform: String,
    pub api_listen: Option<SocketAddr>,
    pub journal_max_bytes: u64,
    /// What the limits of the configuration are now, where they did not fit.
    pub fitted: Option<String>,
    pub dead_letter_file: PathBuf,
    pub max_request_bytes: usize,
    pub max_concurrent_requests: usize,
    pub drain_timeout: Duration,
    pub limits: Limits,
    pub log_format: LogFormat,
}

/// Reads the file, and lays the options over it.
pub(super) fn load(options: &cli::Bridge) -> Result<Settings> {
    let (mut keys, from) = match &options.config {
        Some(path) => (read(path)?, path.display().to_string()),
        None => (json!({}), "the options".to_owned()),
    };
    let invalid = |problem: &str| {
        Failure::new(Exit::Config, format!("the configuration of the bridge in {from} is not valid: {problem}"))
            .hint("`abort-reason bridge --help` lists the keys; those of the file have `_` for `-`.")
    };
    let given = serde_json::to_value(&options.keys).unwrap_or_default();
    let file = keys.as_object_mut().ok_or_else(|| invalid("keys with values are needed"))?;
    // The file alone first, key by key: an option must not hide what is wrong in it.
    for (key, value) in &*file {
        let alone = json!({ key: value });
        serde_json::from_value::<Keys>(alone).map_err(|error| invalid(&format!("`{key}: {value}`: {error}")))?;
    }
    if let Value::Object(given) = given {
        file.extend(given.into_iter().filter(|(_, value)| !value.is_null()));
    }
    let keys: Keys = serde_json::from_value(keys).map_err(|error| invalid(&error.to_string()))?;
    keys.settings(&invalid)
}

impl Keys {
    fn settings(self, invalid: &dyn Fn(&str) -> Failure) -> Result<Settings> {
        let listen = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 6000)));
        let forward = match self.forward.as_deref() {
            Some("-") => Forward::Stdout,
            Some(address) if address.starts_with("http://") || address.starts_with("https://") => {
                let endpoint = tonic::transport::Endpoint::from_shared(address.to_owned())
                    .map_err(|error| invalid(&format!("`forward: {address}`: {error}")))?;
                if is_of(listen, endpoint.uri()) {
                    return Err(invalid(&format!("`forward: {address}` is where the bridge itself listens")));
                }
                Forward::Vector(address.to_owned())
            }
            Some(other) => match other.strip_prefix("file:") {
                Some(path) if !path.is_empty() => Forward::File(path.into()),
                _ => {
                    return Err(invalid(&format!(
                        "`forward: {other}`: http://HOST:PORT, https://HOST:PORT, file:PATH or - is needed"
                    )));
                }
            },
            None => return Err(invalid("`forward` is missing: where do events go?")),
        };
        let state_dir = self.state_dir.unwrap_or_else(|| "/var/lib/abort-reason".into());
        let mut transform = Value::Object(self.transform.unwrap_or_default());
        let within = |name: &str, value: u64, range: std::ops::RangeInclusive<u64>| {
            if range.contains(&value) {
                Ok(value)
            } else {
                Err(invalid(&format!("`{name}: {value}`: {} to {} is allowed", range.start(), range.end())))
            }
        };
        let seconds = |name, value: Option<u32>, default, longest| {
            within(name, value.unwrap_or(default).into(), 1..=longest).map(Duration::from_secs)
        };
        let memory_mib = within("memory_limit_mib", self.memory_limit_mib.unwrap_or(512).into(), 16..=4096)?;
        let journal_max_bytes =
            within("journal_max_bytes", self.journal_max_bytes.unwrap_or(1 << 30), (1 << 20)..=(1 << 50))?;
        let memory_bytes = (memory_mib as usize) << 20;
        let mut fitted = None;
        if self.component.is_none() {
            let config = Config::from_value(&transform);
            let mut config = config.map_err(|error| invalid(&format!("`transform`: {error}")))?;
            let room = Room { memory: memory_bytes, disk: Some(journal_max_bytes) };
            fitted = fit(&mut config, &mut transform, room);
        }
        Ok(Settings {
            listen,
            tls: tls("tls", self.tls_crt_file, self.tls_key_file, self.tls_ca_file.as_deref(), invalid)?,
            forward,
            forward_tls: tls(
                "forward_tls",
                self.forward_tls_crt_file,
                self.forward_tls_key_file,
                self.forward_tls_ca_file.as_deref(),
                invalid,
            )?,
            forward_compression: self.forward_compression.unwrap_or_default(),
            forward_concurrency: within("forward_concurrency", self.forward_concurrency.unwrap_or(8).into(), 1..=1024)?
                as usize,
            forward_timeout: seconds("forward_timeout_secs", self.forward_timeout_secs, 60, 3600)?,
            dead_letter_file: self.dead_letter_file.unwrap_or_else(|| state_dir.join("dead-letters.ndjson")),
            cache_dir: self.cache_dir.unwrap_or_else(|| state_dir.join("compiled")),
            state_dir,
            component: self.component,
            transform: transform.to_string(),
            api_listen: self.api_listen,
            journal_max_bytes,
            fitted,
            max_request_bytes: within(
                "max_request_bytes",
                self.max_request_bytes.unwrap_or(100 << 20).into(),
                1024..=(1 << 30),
            )? as usize,
            max_concurrent_requests: within(
                "max_concurrent_requests",
                self.max_concurrent_requests.unwrap_or(64).into(),
                1..=10_000,
            )? as usize,
            drain_timeout: seconds("drain_timeout_secs", self.drain_timeout_secs, 10, 3600)?,
            limits: Limits {
                memory_bytes,
                call_timeout: seconds("call_timeout_secs", self.call_timeout_secs, 30, 3600)?,
            },
            log_format: self.log_format.unwrap_or_default(),
        })
    }
}

/// Whether an address is the one on which this listens: events that came back would be taken for repeated ones.
fn is_of(listen: SocketAddr, uri: &axum::http::Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let ip = if host == "localhost" { Ok(Ipv4Addr::LOCALHOST.into()) } else { host.parse::<IpAddr>() };
    let to_any = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    let is_here = ip.is_ok_and(|ip| {
        ip == listen.ip() || listen.ip().is_unspecified() && to_any(ip) || ip.is_unspecified() && to_any(listen.ip())
    });
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    port == listen.port() && is_here
}

/// Reads certificates.
fn tls(
    name: &str,
    crt: Option<PathBuf>,
    key: Option<PathBuf>,
    ca: Option<&Path>,
    invalid: &dyn Fn(&str) -> Failure,
) -> Result<Tls> {
    let file = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            Failure::new(Exit::NoInput, format!("cannot read {}: {error}", path.display()))
                .hint(format!("The configuration names it under `{name}_…_file`."))
        })
    };
    let identity = match (crt, key) {
        (Some(crt), Some(key)) => Some((file(&crt)?, file(&key)?)),
        (None, None) => None,
        _ => return Err(invalid(&format!("`{name}_crt_file` and `{name}_key_file` need each other"))),
    };
    let ca = ca.map(file).transpose()?;
    if name == "tls" && ca.is_some() && identity.is_none() {
        return Err(invalid("`tls_ca_file` needs `tls_crt_file` and `tls_key_file`"));
    }
    Ok(Tls { identity, ca })
}
