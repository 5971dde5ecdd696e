//! A redis-server of the program's own.

use std::io::{self, BufRead as _, BufReader, ErrorKind};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// Listens on loopback, keeps nothing on disk, and ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub(crate) fn start() -> io::Result<Self> {
        // Of those that are free; another program may take it in between, and then the server ends.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port"]);
        command.arg(port.to_string()).stdin(Stdio::null()).stdout(Stdio::piped());
        let child = command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound => io::Error::other(
                "redis-server is not installed: `sudo apt-get install redis-server`, or give the address of one with --redis",
            ),
            _ => error,
        })?;
        let mut server = Self { child, port };
        let output = server.child.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        if !lines.any(|line| line.contains("Ready to accept connections")) {
            return Err(io::Error::other("redis-server has ended before it was ready"));
        }
        // Read on, or it would wait for room to say more. Ends with the server.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
