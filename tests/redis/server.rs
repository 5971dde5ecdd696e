//! A redis-server of one's own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use redis::{Client, Connection};

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
        Self::with(&[])
    }

    pub(crate) fn with(options: &[&str]) -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("seawall-redis-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let options = options.iter().map(|&option| option.to_owned()).collect();
        let mut server = Self { child: None, port: free_port(), folder, options };
        server.run();
        server
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

    pub(crate) fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"]);
        command.arg(self.port.to_string()).arg("--dir").arg(&self.folder).args(&self.options);
        let child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn();
        let mut child = child.expect("redis-server is installed (Debian: redis-server)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_ready = |line: &Result<String, _>| {
            line.as_ref().is_ok_and(|line| line.contains("Ready to accept connections"))
        };
        assert!(lines.any(|line| is_ready(&line)), "redis-server has ended before it was ready");
        // Read on, or it would wait for room to say more. Ends with the server.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
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

/// Of the ports that the system hands out: never 6379.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
