//! A redis-server of one's own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use redis::{Client, Connection, Value, cmd};
use seawall::clock::Clock;

/// A server in a folder of its own, ended when it is dropped.
pub(crate) struct Server {
    child: Option<Child>,
    port: u16,
    folder: PathBuf,
    options: Vec<String>,
}

static FOLDERS: AtomicU32 = AtomicU32::new(0);

impl Server {
    /// Starts one on a free port, without anything on disk.
    pub(crate) fn start() -> Self {
        Self::with(Vec::new)
    }

    /// Another process can take a port between the look and the server's start: then it is another port's turn, which is why the options
    /// are asked for each time.
    fn with(options: impl Fn() -> Vec<String>) -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("seawall-redis-{}-{number}", std::process::id()));
        for _ in 0..20 {
            std::fs::create_dir_all(&folder).unwrap();
            let (port, options, folder) = (free_port(), options(), folder.clone());
            let mut server = Self { child: None, port, folder, options };
            if server.is_started() {
                return server;
            }
        }
        panic!("redis-server has ended twenty times before it was ready");
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A connection past our own store.
    pub(crate) fn connection(&self) -> Connection {
        Client::open(self.url()).unwrap().get_connection().unwrap()
    }

    /// Again, after a [`Server::kill`].
    pub(crate) fn run(&mut self) {
        assert!(self.is_started(), "redis-server has ended before it was ready");
    }

    /// Starts it. False: it has ended before it was ready.
    fn is_started(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"]);
        command.arg(self.port.to_string()).arg("--dir").arg(&self.folder).args(&self.options);
        let child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
        let mut child = child.expect("redis-server is installed (Debian: redis-server)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_ready = |line: &Result<String, _>| {
            line.as_ref().is_ok_and(|line| line.contains("Ready to accept connections"))
        };
        let is_started = lines.any(|line| is_ready(&line));
        // Read on, or it would wait for room to say more. Ends with the server.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
        is_started
    }

    /// Of a Cluster: whether each shard has a replica, as far as it knows.
    fn knows_three_replicas(&self) -> bool {
        let shards: Vec<Vec<Value>> =
            cmd("CLUSTER").arg("SLOTS").query(&mut self.connection()).unwrap();
        shards.len() == 3 && shards.iter().all(|shard| shard.len() == 4)
    }

    /// As a machine that fails: nothing is said to anybody.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// It stands still, with all its connections, until [`Server::wake`].
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn wake(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
            assert!(status.unwrap().success());
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all::<&Path>(self.folder.as_ref());
    }
}

/// Several that share their keys, ended when they are dropped.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    /// Three masters, and as many replicas.
    pub(crate) fn start() -> Self {
        let node = || {
            Server::with(|| {
                let bus = free_port().to_string();
                let patience =
                    ["--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"];
                let options = ["--cluster-enabled", "yes", "--cluster-port", &bus];
                options.iter().chain(&patience).map(|&option| option.to_owned()).collect()
            })
        };
        let servers: Vec<_> = (0..6).map(|_| node()).collect();
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "create"]);
        command.args(servers.iter().map(|server| format!("127.0.0.1:{}", server.port)));
        command.args(["--cluster-replicas", "1", "--cluster-yes"]).stdout(Stdio::null());
        assert!(command.status().unwrap().success());
        let cluster = Self { servers };
        // Asked until all of them say so: there is no signal for it.
        let clock = Clock::system();
        let begin = clock.now();
        while !cluster.servers.iter().all(Server::knows_three_replicas) {
            assert!(
                clock.now().since(begin) < Duration::from_secs(20),
                "the Cluster does not form"
            );
            std::thread::yield_now();
        }
        cluster
    }

    /// Which of them has this key's slot, and one of its replicas.
    pub(crate) fn of(&self, key: &str) -> (usize, usize) {
        let mut connection = self.servers[0].connection();
        let slot: u64 = cmd("CLUSTER").arg("KEYSLOT").arg(key).query(&mut connection).unwrap();
        let shards: Vec<Vec<Value>> = cmd("CLUSTER").arg("SLOTS").query(&mut connection).unwrap();
        let port = |node: &Value| {
            let Value::Array(node) = node else { panic!("{node:?}") };
            let Value::Int(port) = node[1] else { panic!("{node:?}") };
            let is_it = |server: &Server| i64::from(server.port) == port;
            self.servers.iter().position(is_it).unwrap()
        };
        let number = |value: &Value| match value {
            Value::Int(number) => u64::try_from(*number).unwrap(),
            other => panic!("{other:?}"),
        };
        let has_it = |shard: &&Vec<Value>| (number(&shard[0])..=number(&shard[1])).contains(&slot);
        let shard = shards.iter().find(has_it).unwrap();
        (port(&shard[2]), port(&shard[3]))
    }
}

/// Of the ports that the system hands out: never 6379.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
