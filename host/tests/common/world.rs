//! A bridge between the two ends of a stand-in for Vector, and what it needs around it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{Folder, broken, program};
use crate::vector::{Bridge, Log, Source, Taken, bridge, free_address};

pub(crate) const CONFIG: &str = "transform: {filter_names: [PureMessage], hold_secs: 0.3}\n";
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Everything around a bridge.
pub(crate) struct World {
    pub(crate) folder: Folder,
    pub(crate) listen: SocketAddr,
    pub(crate) forward: SocketAddr,
    pub(crate) taken: Taken,
}

impl World {
    pub(crate) fn new() -> World {
        let folder = Folder::new();
        folder.file("bridge.yaml", CONFIG);
        World { folder, listen: free_address(), forward: free_address(), taken: Taken::default() }
    }

    pub(crate) async fn source(&self) -> Source {
        Source::start(self.forward, &self.taken).await
    }

    pub(crate) fn command(&self) -> Command {
        bridge(self.listen, self.forward, &self.folder.path("state"), &self.folder.path("bridge.yaml"))
    }

    /// A bridge with a component made for the test.
    pub(crate) fn broken(&self, bodies: &broken::Bodies) -> Command {
        let mut command = program();
        command.args(["bridge", "--listen", &self.listen.to_string()]);
        command.args(["--forward", &format!("http://{}", self.forward)]);
        command.arg("--state-dir").arg(self.folder.path("state"));
        command.arg("--component").arg(self.folder.file("component.wasm", bodies.component()));
        command
    }

    pub(crate) fn bridge(&self) -> Bridge {
        Bridge::start(&mut self.command())
    }

    /// Waits until what was taken is as it should be.
    pub(crate) async fn until(&self, what: &str, mut good: impl FnMut(&[Log]) -> bool) -> Vec<Log> {
        let began = Instant::now();
        loop {
            let logs = self.taken.logs();
            if good(&logs) {
                return logs;
            }
            assert!(began.elapsed() < LONG, "{what}: {} logs: {:#?}", logs.len(), logs.last());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
