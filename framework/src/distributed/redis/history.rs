//! What breakers learn, kept where all instances read it.

use std::fmt;
use std::io;
use std::time::Duration;

use redis::{Client, Connection, RedisError};

use crate::breaker::adaptive::{History, HistoryStore, Loaded};

use super::{InvalidRedis, names};

/// How long one request to the server may take: nobody's call waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keeps what adaptive breakers learn in Redis: an instance that starts knows what others have learned. Give it to
/// [`Builder::history_store`](crate::runtime::Builder::history_store).
///
/// Of instances that run side by side, the last to save is what the next instance starts from. It does not expire.
pub struct RedisHistory {
    client: Client,
    namespace: String,
}

impl RedisHistory {
    /// The server at this address, as [`Redis::open`](super::Redis::open) takes it, no Cluster; all keys begin with `namespace`.
    ///
    /// # Errors
    /// The address cannot be read, or the namespace is not 1 to 64 letters, digits, `_`, `-` or `.`. Nothing is connected yet.
    pub fn open(url: &str, namespace: impl Into<String>) -> Result<Self, InvalidRedis> {
        let namespace = namespace.into();
        if !crate::limit::is_name(&namespace) {
            return Err(InvalidRedis::Namespace(namespace));
        }
        let client = Client::open(url)
            .map_err(|error| InvalidRedis::Address { at: 1, why: error.to_string() })?;
        Ok(Self { client, namespace })
    }

    fn connection(&self) -> io::Result<Connection> {
        let connection = self.client.get_connection_with_timeout(PATIENCE).map_err(failed)?;
        connection.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        connection.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(connection)
    }
}

impl HistoryStore for RedisHistory {
    fn load(&self, dependency: &str) -> io::Result<Loaded> {
        let key = names::history(&self.namespace, dependency);
        let kept: Option<Vec<u8>> =
            redis::cmd("GET").arg(key).query(&mut self.connection()?).map_err(failed)?;
        let mut loaded = Loaded::default();
        match kept.as_deref().map(History::from_bytes) {
            Some(Ok(history)) => loaded.history = Some(history),
            Some(Err(unreadable)) => loaded.rejected.push(unreadable.to_string()),
            None => {}
        }
        Ok(loaded)
    }

    fn save(&self, dependency: &str, history: &History) -> io::Result<()> {
        let key = names::history(&self.namespace, dependency);
        let mut command = redis::cmd("SET");
        // `SET` is one step: a reader gets the new history or the old one, whole.
        command.arg(key).arg(history.to_bytes()).exec(&mut self.connection()?).map_err(failed)
    }
}

fn failed(error: RedisError) -> io::Error {
    io::Error::other(error.to_string())
}

impl fmt::Debug for RedisHistory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the address: it may have a password in it.
        f.debug_struct("RedisHistory").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}
