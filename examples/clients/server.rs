//! A database server on loopback, of a program that is installed, for the examples that need one.

use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A server in a folder of its own, which is gone when dropped.
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
    running: Option<Child>,
}

impl Server {
    /// A folder and a free port for it.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("seawall-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self { folder, port, running: None };
        server.give_away()?;
        Ok(server)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts the server itself.
    pub(crate) fn start(&mut self, program: &Path, args: &[&str]) -> io::Result<()> {
        let quiet =
            self.command(program, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        self.running = Some(quiet);
        Ok(())
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if let Some(mut running) = self.running.take() {
            running.kill()?;
            running.wait()?;
        }
        Ok(())
    }

    /// A program that runs as the server's user, in its folder.
    #[cfg(unix)]
    pub(crate) fn command(&self, program: &Path, args: &[&str]) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.folder);
        // A server of PostgreSQL does not run as root.
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// A program that runs in the server's folder.
    #[cfg(not(unix))]
    pub(crate) fn command(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.folder);
        command
    }

    #[cfg(unix)]
    fn give_away(&self) -> io::Result<()> {
        let to = is_root().then_some(NOBODY);
        std::os::unix::fs::chown(&self.folder, to, to)
    }

    #[cfg(not(unix))]
    fn give_away(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is only an example's.
        let _ = self.kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(unix)]
const NOBODY: u32 = 65_534;

#[cfg(unix)]
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The newest program of this name: on the PATH, or where Debian keeps PostgreSQL's.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    folders.into_iter().map(|folder| folder.join(name)).find(|program| program.is_file())
}
