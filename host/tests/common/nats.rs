//! A cluster of three real `nats-server`s with `JetStream` on loopback addresses, which a test may kill one by one.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::jetstream::{Context, consumer, stream};

use crate::common::Folder;
use crate::vector::free_address;

/// The stream of `vector-config/README.md`, and the partitions that the servers map its subjects to.
pub const STREAM: &str = "MAILLOGS";
pub const PARTITIONS: usize = 4;

/// The program, from `NATS_SERVER` or from `PATH`, where there is one.
pub fn nats_server() -> Option<PathBuf> {
    let found = crate::common::host_program("NATS_SERVER", "nats-server");
    if found.is_none() {
        eprintln!("SKIPPED: no NATS: install Debian's package nats-server, or name the program in NATS_SERVER");
    }
    found
}

pub struct Cluster {
    program: PathBuf,
    folder: Folder,
    clients: [SocketAddr; 3],
    nodes: [Option<Child>; 3],
}

impl Cluster {
    /// Three servers that run, or are about to.
    pub fn start(program: PathBuf) -> Cluster {
        let folder = Folder::new();
        let [clients, routes] = [(); 2].map(|()| [(); 3].map(|()| free_address()));
        let list = routes.map(|route| format!("nats-route://{route}")).join(", ");
        for node in 0..3 {
            let [client, route] = [clients[node], routes[node]];
            let store = folder.path(&format!("store-{node}"));
            let config = format!(
                "server_name: node-{node}\nlisten: \"{client}\"\n\
                 jetstream {{ store_dir: \"{}\" }}\n\
                 cluster {{ name: logs, listen: \"{route}\", routes: [{list}] }}\n\
                 mappings = {{ \"maillogs.*\": \"maillogs.{{{{partition({PARTITIONS},1)}}}}.{{{{wildcard(1)}}}}\" }}\n",
                store.display()
            );
            folder.file(&format!("node-{node}.conf"), config);
        }
        let mut cluster = Cluster { program, folder, clients, nodes: [None, None, None] };
        (0..3).for_each(|node| cluster.revive(node));
        cluster
    }

    /// Starts a server that was killed, with what it had stored.
    pub fn revive_if_dead(&mut self, node: usize) {
        if self.nodes[node].is_none() {
            self.revive(node);
        }
    }

    fn revive(&mut self, node: usize) {
        let log = std::fs::File::create(self.folder.path(&format!("node-{node}.log"))).unwrap();
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.folder.path(&format!("node-{node}.conf"))).stdin(Stdio::null());
        self.nodes[node] = Some(command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
    }

    /// kill -9.
    pub fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// A client that finds a server for as long as one runs.
    pub async fn client(&self) -> Context {
        let options = async_nats::ConnectOptions::new()
            .retry_on_initial_connect()
            .reconnect_delay_callback(|_| Duration::from_millis(100))
            .request_timeout(Some(Duration::from_secs(2)));
        let addresses: Vec<_> = self.clients.iter().map(|client| format!("nats://{client}")).collect();
        async_nats::jetstream::new(options.connect(addresses).await.unwrap())
    }

    /// Makes the stream and one consumer for each partition, as soon as the servers have found each other.
    pub async fn prepare(&self, client: &Context) {
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: vec!["maillogs.*.*".to_owned()],
            num_replicas: 3,
            storage: stream::StorageType::File,
            ..stream::Config::default()
        };
        let mut tries = 0;
        let stream = loop {
            match client.get_or_create_stream(config.clone()).await {
                Ok(stream) => break stream,
                Err(error) => assert!(tries < 200, "no stream after 20 s: {error}"),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        for partition in 0..PARTITIONS {
            let config = consumer::pull::Config {
                durable_name: Some(format!("bridge-{partition}")),
                filter_subject: format!("maillogs.{partition}.*"),
                ack_policy: consumer::AckPolicy::Explicit,
                ack_wait: Duration::from_secs(5),
                ..consumer::pull::Config::default()
            };
            stream.create_consumer(config).await.unwrap();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        (0..3).for_each(|node| self.kill(node));
    }
}
