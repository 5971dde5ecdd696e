//! Which server a key is on: the only one, or one of a Cluster's.
//!
//! Ours, and not the client's own for a Cluster, because that sends a request again when a connection breaks: a script that
//! had run would run twice. Here it is sent again only after `NOSCRIPT`, `MOVED` and `ASK`, which say that it has not run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use redis::{Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline, RedisError};
use redis::{ServerErrorKind, Value};

use crate::clock::Moment;
use crate::swappable::Swappable;
use crate::time::Time;

use super::link::{Link, SendError};
use super::names;
use crate::distributed::store::StoreError;

/// How often a request follows a key that has moved.
const REDIRECTIONS: u32 = 4;
/// A Cluster is asked where its slots are no more often than this.
const ASK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Servers {
    /// Those that were named. Of no Cluster the first is the only one.
    seeds: Vec<ConnectionInfo>,
    time: Time,
    connect_within: Duration,
    links: DashMap<String, Arc<Link>>,
    cluster: Option<Slots>,
    round_trips: AtomicU64,
    only: Arc<Link>,
}

/// Which server has which slots of a Cluster.
#[derive(Debug)]
struct Slots {
    /// First and last slot, and the address.
    ranges: Swappable<Vec<(u16, u16, String)>>,
    asking: AtomicBool,
    /// Held by the one who asks because nothing is known yet, so that not all do.
    first: tokio::sync::Mutex<()>,
    /// In nanoseconds; 0: never.
    asked_at: AtomicU64,
}

impl Servers {
    pub(super) fn new(
        seeds: Vec<ConnectionInfo>,
        is_cluster: bool,
        time: Time,
        connect_within: Duration,
    ) -> Result<Arc<Self>, RedisError> {
        let Some(first) = seeds.first() else {
            return Err((ErrorKind::InvalidClientConfig, "no server is named").into());
        };
        let only = Link::new(Client::open(first.clone())?, time.clone(), connect_within);
        let slots = || Slots {
            ranges: Swappable::new(Vec::new()),
            asking: AtomicBool::new(false),
            first: tokio::sync::Mutex::default(),
            asked_at: AtomicU64::new(0),
        };
        Ok(Arc::new(Self {
            seeds,
            time,
            connect_within,
            links: DashMap::new(),
            cluster: is_cluster.then(slots),
            round_trips: AtomicU64::new(0),
            only,
        }))
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    pub(super) fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    pub(super) fn connections(&self) -> u64 {
        let others: u64 = self.links.iter().map(|link| link.connections()).sum();
        self.only.connections() + others
    }

    /// The server that has `slot`, as far as is known.
    pub(super) async fn of_slot(self: &Arc<Self>, slot: u16) -> Result<Arc<Link>, StoreError> {
        let Some(slots) = &self.cluster else { return Ok(Arc::clone(&self.only)) };
        if let Some(address) = slots.find(slot) {
            return self.at(&address);
        }
        let _first = slots.first.lock().await;
        if slots.find(slot).is_none() {
            self.look_up().await?;
        }
        match slots.find(slot) {
            Some(address) => self.at(&address),
            None => Err(StoreError::Refused(format!("no server has slot {slot}").into())),
        }
    }

    /// All servers that are masters, to be asked one by one.
    pub(super) async fn all(self: &Arc<Self>) -> Result<Vec<Arc<Link>>, StoreError> {
        let Some(slots) = &self.cluster else { return Ok(vec![Arc::clone(&self.only)]) };
        self.look_up().await?;
        let mut addresses = slots.addresses();
        addresses.sort();
        addresses.dedup();
        addresses.iter().map(|address| self.at(address)).collect()
    }

    /// Sends a command that concerns `slot`, and follows the slot where it has moved.
    pub(super) async fn send(
        self: &Arc<Self>,
        slot: u16,
        command: &Cmd,
    ) -> Result<(Value, Arc<Link>), SendError> {
        let mut link = self.of_slot(slot).await?;
        let mut asking = false;
        for _ in 0..REDIRECTIONS {
            self.round_trips.fetch_add(1, Ordering::Relaxed);
            let sent = if asking {
                let mut both = Pipeline::new();
                both.cmd("ASKING").add_command(command.clone());
                link.send_last(&both, 2).await
            } else {
                link.send(command).await
            };
            let error = match sent {
                Ok(value) => return Ok((value, link)),
                Err(error) => error,
            };
            let SendError::Redis(told) = &error else {
                self.look_up_soon();
                return Err(error);
            };
            asking = told.kind() == ErrorKind::Server(ServerErrorKind::Ask);
            match told.redirect_node() {
                Some((address, _)) if self.is_cluster() => {
                    let address = address.to_owned();
                    if !asking {
                        self.look_up_soon();
                    }
                    link = self.at(&address)?;
                }
                _ => {
                    self.learn_from(told, &link);
                    return Err(error);
                }
            }
        }
        Err(StoreError::Refused(format!("slot {slot} is moved about").into()).into())
    }

    /// What an error says of who is there.
    fn learn_from(self: &Arc<Self>, error: &RedisError, link: &Arc<Link>) {
        match error.kind() {
            // It was the master once; a new connection leads to the present one.
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                link.lose_any();
                self.look_up_soon();
            }
            ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::MasterDown) => {
                self.look_up_soon();
            }
            _ if error.is_io_error() || error.is_unrecoverable_error() => self.look_up_soon(),
            _ => {}
        }
    }

    fn at(&self, address: &str) -> Result<Arc<Link>, StoreError> {
        if let Some(link) = self.links.get(address) {
            return Ok(Arc::clone(&link));
        }
        let info = self.info(address).ok_or_else(|| {
            StoreError::Corrupt(format!("the Cluster names the server {address:?}").into())
        })?;
        let client = Client::open(info)
            .map_err(|error| StoreError::Unreachable(error.to_string().into()))?;
        let make = || Link::new(client, self.time.clone(), self.connect_within);
        Ok(Arc::clone(&self.links.entry(address.to_owned()).or_insert_with(make)))
    }

    /// How to connect to another server of the Cluster: as to the first that was named.
    fn info(&self, address: &str) -> Option<ConnectionInfo> {
        let (host, port) = address.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = port.parse().ok()?;
        let first = self.seeds.first()?;
        let address = match first.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host,
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host, port),
        };
        Some(first.clone().set_addr(address))
    }

    /// Asks where the slots are, in a task of its own, if nobody does and it was not asked just now.
    fn look_up_soon(self: &Arc<Self>) {
        let Some(slots) = &self.cluster else { return };
        if !slots.is_due(self.time.now()) || slots.asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let asking = LookingUp(Arc::clone(self));
        // Without a runtime it is dropped.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { asking.0.look_up().await });
        }
    }

    /// Asks one server after the other where the slots are.
    async fn look_up(self: &Arc<Self>) -> Result<(), StoreError> {
        let Some(slots) = &self.cluster else { return Ok(()) };
        slots.asked_at.store(self.time.now().as_nanos().max(1), Ordering::Relaxed);
        let known = slots.addresses();
        let seeds = self.seeds.iter().map(|seed| seed.addr().to_string());
        let mut last = None;
        let mut asked: Vec<String> = Vec::new();
        for address in known.into_iter().chain(seeds) {
            if asked.contains(&address) {
                continue;
            }
            match self.ask(&address).await {
                Ok(ranges) => {
                    slots.ranges.replace(ranges);
                    return Ok(());
                }
                Err(error) => last = Some(error),
            }
            asked.push(address);
        }
        Err(last.unwrap_or(StoreError::TimedOut))
    }

    async fn ask(&self, address: &str) -> Result<Vec<(u16, u16, String)>, StoreError> {
        let link = self.at(address)?;
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let answer = link.send(redis::cmd("CLUSTER").arg("SLOTS")).await?;
        let own = address.rsplit_once(':').map_or(address, |(host, _)| host);
        read_slots(&answer, own)
            .filter(|ranges| !ranges.is_empty())
            .ok_or_else(|| StoreError::Corrupt("CLUSTER SLOTS names no server".into()))
    }
}

/// Somebody asks where the slots are. Dropped, with a task that was never begun too, another may.
struct LookingUp(Arc<Servers>);

impl Drop for LookingUp {
    fn drop(&mut self) {
        if let Some(slots) = &self.0.cluster {
            slots.asking.store(false, Ordering::Release);
        }
    }
}

impl Slots {
    fn find(&self, slot: u16) -> Option<String> {
        self.ranges.with(|ranges| {
            let range = ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
            range.map(|(_, _, address)| address.clone())
        })
    }

    /// The masters', one for each range.
    fn addresses(&self) -> Vec<String> {
        self.ranges.with(|ranges| ranges.iter().map(|range| range.2.clone()).collect())
    }

    fn is_due(&self, now: Moment) -> bool {
        let asked_at = Moment::from_nanos(self.asked_at.load(Ordering::Relaxed));
        asked_at == Moment::ZERO || now.since(asked_at) >= ASK_AGAIN
    }
}

/// The ranges, each with its master. A master without an address is on the host that was asked.
fn read_slots(answer: &Value, own_host: &str) -> Option<Vec<(u16, u16, String)>> {
    let Value::Array(ranges) = answer else { return None };
    let number = |value: Option<&Value>| match value {
        Some(Value::Int(number)) => u16::try_from(*number).ok(),
        _ => None,
    };
    let mut read = Vec::with_capacity(ranges.len());
    for range in ranges {
        let Value::Array(range) = range else { return None };
        let (first, last) = (number(range.first())?, number(range.get(1))?);
        let Value::Array(master) = range.get(2)? else { return None };
        let host = match master.first()? {
            Value::BulkString(host) if !host.is_empty() => String::from_utf8(host.clone()).ok()?,
            Value::SimpleString(host) if !host.is_empty() => host.clone(),
            _ => own_host.to_owned(),
        };
        let port = number(master.get(1))?;
        if last < names::SLOTS {
            read.push((first, last, format!("{host}:{port}")));
        }
    }
    Some(read)
}
