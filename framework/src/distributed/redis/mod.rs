//! A store in Redis or Valkey, a Cluster of them included.
//!
//! Everything that decides is a script: see `lua/`. A script runs as one step, by the server's own clock.

mod history;
mod link;
mod names;
mod reply;
mod scripts;
mod server_clock;
mod servers;
mod shape;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{Cmd, ConnectionInfo, ErrorKind, IntoConnectionInfo, ServerErrorKind};

use crate::limit::StoreCounts;
use crate::time::Time;

use super::store::{
    BeatRequest, BoardReport, BoardStanding, BoardWord, Lease, LeaseRequest, LimitKey, Membership,
    Store, StoreError, StoreFuture, StoredLimit, TakeRequest, Verdict, VerdictKind,
};
pub use history::RedisHistory;
use link::SendError;
use scripts::Script;
use server_clock::Known;
use servers::Servers;
use shape::{Shape, micros};

/// How long connecting may take by default.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// What one look through a server's keys is asked to return.
const SCANNED: usize = 1_000;

/// Keeps limits in Redis 6.2 or newer, or Valkey, for all processes that use the same server and namespace. Cheap to clone;
/// clones share the connection, which is made by the first request and made again when it breaks. Needs a tokio runtime.
///
/// A script that was sent is never sent again, unless the server says that it has not run it: a decision is made once or not at
/// all. Each is given the last moment, by the server's clock, at which it may still be made, so that nothing which was sent
/// during an outage is done when the server is back and everybody has decided otherwise.
///
/// Its own time limit is the deadline of each request, connecting included.
#[derive(Clone)]
pub struct Redis {
    servers: Arc<Servers>,
    namespace: Arc<str>,
    reloads: Arc<AtomicU64>,
    time: Time,
}

/// How to reach a [`Redis`]. Made by [`Redis::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisBuilder {
    urls: Vec<String>,
    is_cluster: bool,
    namespace: String,
    connect_within: Duration,
}

/// What is wrong with the settings of a [`Redis`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRedis {
    /// An address that cannot be read.
    #[error(
        "server {at} of those named: {why}; allowed: redis://host:port, rediss://host:port (feature `redis-tls`), \
         redis+unix:///path, each with `?protocol=resp3` and the like"
    )]
    Address {
        /// Which, from 1.
        at: usize,
        /// What is wrong with it. The address itself may have a password in it, and is not repeated.
        why: String,
    },
    /// A namespace that would not be one.
    #[error("namespace {0:?}: must be 1 to 64 letters, digits, `_`, `-` or `.`")]
    Namespace(String),
    /// No server was named.
    #[error("no server is named")]
    NoServer,
}

impl Redis {
    /// The server at this address: `redis://host:port`, `redis://user:password@host:port/database`, `rediss://…` with TLS (feature
    /// `redis-tls`), `redis+unix:///path`.
    ///
    /// # Errors
    /// The address cannot be read. Nothing is connected yet.
    pub fn open(url: impl Into<String>) -> Result<Self, InvalidRedis> {
        Self::builder(url).build()
    }

    /// The same with settings.
    pub fn builder(url: impl Into<String>) -> RedisBuilder {
        RedisBuilder {
            urls: vec![url.into()],
            is_cluster: false,
            namespace: "seawall".to_owned(),
            connect_within: CONNECT_WITHIN,
        }
    }

    async fn run(
        &self,
        slot: u16,
        script: &Script,
        fill: &(dyn Fn(&mut Cmd, Known) + Send + Sync),
    ) -> Result<(Vec<i64>, bool), StoreError> {
        let link = self.servers.of_slot(slot).await?;
        // Looked at once: a request that was made by what is not known has done nothing, and can be made again.
        let known = link.clock.known();
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script);
            fill(&mut command, known);
            command
        };
        let mut sent = self.servers.send(slot, &command("EVALSHA", script.digest())).await;
        if let Err(SendError::Redis(error)) = &sent
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            self.reloads.fetch_add(1, Ordering::Relaxed);
            sent = self.servers.send(slot, &command("EVAL", script.text())).await;
        }
        let (value, link) = sent?;
        let numbers = reply::numbers(value)?;
        if let Some(server) = numbers.first() {
            link.clock.heard(*server, self.time.now());
        }
        Ok((numbers, known.is_something()))
    }

    /// Runs a script that answers with the moment alone if it came too late.
    async fn run_once(
        &self,
        slot: u16,
        script: &Script,
        fill: &(dyn Fn(&mut Cmd, Known) + Send + Sync),
    ) -> Result<Vec<i64>, StoreError> {
        let (mut numbers, is_known) = self.run(slot, script, fill).await?;
        if numbers.len() == 1 && !is_known {
            // The server's clock was not known: now it is.
            numbers = self.run(slot, script, fill).await?.0;
        }
        if numbers.len() == 1 { Err(StoreError::Late) } else { Ok(numbers) }
    }

    async fn take_all(&self, request: &TakeRequest) -> Result<Vec<Verdict>, StoreError> {
        let keys: Vec<String> = request.limits.iter().map(|limit| self.name(limit)).collect();
        let slot = keys.first().map_or(0, |key| names::slot(key));
        let fill = |command: &mut Cmd, known: Known| {
            command.arg(keys.len()).arg(&keys).arg("").arg("").arg(u8::from(request.takes));
            for limit in request.limits.iter() {
                shape(command, limit);
            }
            for (cost, last) in &request.costs {
                command.arg(*cost).arg(known.tell(*last));
            }
        };
        let (numbers, is_known) = self.run(slot, &scripts::TAKE, &fill).await?;
        let verdicts = reply::verdicts(&numbers, request)?;
        if is_known || verdicts.iter().all(|verdict| verdict.kind != VerdictKind::Late) {
            return Ok(verdicts);
        }
        // All were late, because the server's clock was not known. Now it is.
        let (numbers, _) = self.run(slot, &scripts::TAKE, &fill).await?;
        reply::verdicts(&numbers, request)
    }

    async fn lease_part(&self, request: &LeaseRequest) -> Result<Lease, StoreError> {
        let state = self.name(&request.limit);
        let fill = |command: &mut Cmd, known: Known| {
            command.arg(2).arg(&state).arg(names::leases(&state));
            command.arg("").arg(known.tell(request.deadline));
            shape(command, &request.limit);
            command.arg(&*request.instance);
            match request.known {
                Some(epoch) => command.arg(epoch.0),
                None => command.arg(""),
            };
            let granted = request.granted;
            command.arg(micros(request.term)).arg(request.wanted).arg(request.returned);
            command.arg(granted.window).arg(granted.now).arg(granted.before);
            command.arg(u8::from(request.leaves));
        };
        let numbers = self.run_once(names::slot(&state), &scripts::LEASE, &fill).await?;
        reply::lease(&numbers)
    }

    async fn beat_once(&self, request: &BeatRequest) -> Result<Membership, StoreError> {
        let key = names::instances(&self.namespace, &request.group);
        let fill = |command: &mut Cmd, known: Known| {
            command.arg(1).arg(&key).arg("").arg(known.tell(request.deadline));
            command.arg(&*request.instance).arg(micros(request.alive));
        };
        let numbers = self.run_once(names::slot(&key), &scripts::BEAT, &fill).await?;
        reply::membership(&numbers)
    }

    fn name(&self, limit: &StoredLimit) -> String {
        names::of(&self.namespace, &limit.key, Shape::of(&limit.config).kind)
    }

    async fn hear(&self, report: &BoardReport) -> Result<BoardStanding, StoreError> {
        let keys = names::board(&self.namespace, &report.breaker);
        let word = match report.word {
            BoardWord::Open => "open",
            BoardWord::Closed => "closed",
            BoardWord::Look => "look",
        };
        let fill = |command: &mut Cmd, known: Known| {
            command.arg(keys.len()).arg(&keys).arg("").arg(known.tell(report.deadline));
            command.arg(&*report.instance).arg(word);
            command.arg(micros(report.holds)).arg(micros(report.probes_for));
        };
        let numbers = self.run_once(names::slot(&keys[0]), &scripts::BOARD, &fill).await?;
        reply::standing(&numbers)
    }

    async fn forget(&self, limits: &[StoredLimit]) -> Result<u64, StoreError> {
        let mut forgotten = 0;
        for limit in limits {
            let state = self.name(limit);
            let slot = names::slot(&state);
            let mut command = redis::cmd("DEL");
            command.arg(&state);
            let (answer, _) = self.servers.send(slot, &command).await.map_err(StoreError::from)?;
            forgotten += reply::count(&answer);
        }
        Ok(forgotten)
    }

    async fn scan(&self, like: &StoredLimit, at_most: usize) -> Result<Vec<LimitKey>, StoreError> {
        let kind = Shape::of(&like.config).kind;
        let pattern = names::pattern(&self.namespace, &like.key.limit, kind);
        let mut found = Vec::new();
        for link in self.servers.all().await? {
            let mut cursor = 0;
            loop {
                let mut command = redis::cmd("SCAN");
                command.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCANNED);
                let (next, names) = reply::page(link.send(&command).await?)?;
                let keys = names.iter().filter_map(|name| names::parse(&self.namespace, name));
                found.extend(keys.take(at_most.saturating_sub(found.len())));
                cursor = next;
                if cursor == 0 || found.len() >= at_most {
                    break;
                }
            }
        }
        // A key that moves while it is looked for is found twice.
        found.sort();
        found.dedup();
        Ok(found)
    }
}

fn shape(command: &mut Cmd, limit: &StoredLimit) {
    let shape = Shape::of(&limit.config);
    command.arg(shape.kind).arg(shape.limit).arg(shape.speed[0]).arg(shape.speed[1]);
}

impl RedisBuilder {
    /// It is one of several servers of a Cluster; more of them can be named with [`RedisBuilder::server`]. Default: it is alone.
    ///
    /// In a Cluster, limits of one subject are kept together and decided together; a limit that is one for all is on
    /// another server, so it must be leased, or shared out.
    pub fn cluster(mut self) -> Self {
        self.is_cluster = true;
        self
    }

    /// Another server of the Cluster, to begin with if the first does not answer.
    pub fn server(mut self, url: impl Into<String>) -> Self {
        self.urls.push(url.into());
        self
    }

    /// What all keys begin with. Default `seawall`. Programs with the same namespace share limits of the same name.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// How long connecting may take before it is given up, and tried again. Default 500 ms. Those who wait for an answer
    /// meanwhile go by their own deadlines.
    pub fn connect_within(mut self, limit: Duration) -> Self {
        self.connect_within = limit;
        self
    }

    /// The store. Nothing is connected yet.
    ///
    /// # Errors
    /// An address that cannot be read; a namespace that is not 1 to 64 letters, digits, `_`, `-` or `.`.
    pub fn build(self) -> Result<Redis, InvalidRedis> {
        if !crate::limit::is_name(&self.namespace) {
            return Err(InvalidRedis::Namespace(self.namespace));
        }
        let mut seeds: Vec<ConnectionInfo> = Vec::with_capacity(self.urls.len());
        for (at, url) in self.urls.iter().enumerate() {
            let info = url.as_str().into_connection_info();
            let at = at + 1;
            seeds.push(info.map_err(|error| InvalidRedis::Address { at, why: error.to_string() })?);
        }
        let time = Time::system();
        let servers = Servers::new(seeds, self.is_cluster, time.clone(), self.connect_within)
            .map_err(|error| InvalidRedis::Address { at: 1, why: error.to_string() })?;
        let reloads = Arc::new(AtomicU64::new(0));
        Ok(Redis { servers, namespace: self.namespace.into(), reloads, time })
    }
}

impl Store for Redis {
    fn take(&self, request: TakeRequest) -> StoreFuture<'_, Vec<Verdict>> {
        Box::pin(async move { self.take_all(&request).await })
    }

    fn lease(&self, request: LeaseRequest) -> StoreFuture<'_, Lease> {
        Box::pin(async move { self.lease_part(&request).await })
    }

    fn beat(&self, request: BeatRequest) -> StoreFuture<'_, Membership> {
        Box::pin(async move { self.beat_once(&request).await })
    }

    fn board(&self, report: BoardReport) -> StoreFuture<'_, BoardStanding> {
        Box::pin(async move { self.hear(&report).await })
    }

    fn reset(&self, limits: Vec<StoredLimit>) -> StoreFuture<'_, u64> {
        Box::pin(async move { self.forget(&limits).await })
    }

    fn keys(&self, like: StoredLimit, at_most: usize) -> StoreFuture<'_, Vec<LimitKey>> {
        Box::pin(async move { self.scan(&like, at_most).await })
    }

    fn joins_subjects(&self) -> bool {
        !self.servers.is_cluster()
    }

    fn counts(&self) -> StoreCounts {
        StoreCounts {
            round_trips: self.servers.round_trips(),
            script_reloads: self.reloads.load(Ordering::Relaxed),
            connections: self.servers.connections(),
        }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the addresses: they may have passwords in them.
        let mut debug = f.debug_struct("Redis");
        debug.field("namespace", &self.namespace).field("cluster", &self.servers.is_cluster());
        debug.finish_non_exhaustive()
    }
}
