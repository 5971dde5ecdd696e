//! One connection to one server: made when it is needed, shared by all, made again when it breaks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, Value};
use tokio::sync::watch;

use crate::clock::{Moment, nanos};
use crate::entropy::Entropy;
use crate::sync::Mutex;
use crate::time::{Time, within};

use super::server_clock::ServerClock;
use crate::distributed::store::StoreError;

/// A server that has not answered anything for so long gets a new connection.
const SILENT: Duration = Duration::from_secs(1);
/// After a failed attempt to connect, the next waits between half of this and all of it; twice as long each time.
const REST: Duration = Duration::from_millis(20);
const LONGEST_REST: Duration = Duration::from_millis(500);

/// What came of an attempt to connect.
type Outcome = Option<Result<Connected, StoreError>>;

/// A connection to a server.
pub(super) struct Link {
    client: Client,
    name: Arc<str>,
    time: Time,
    entropy: Entropy,
    connect_within: Duration,
    state: Mutex<State>,
    pub(super) clock: ServerClock,
    /// When the first of the requests was sent that nothing has been heard since, in nanoseconds; 0: something has.
    silent_since: AtomicU64,
    connections: AtomicU64,
}

enum State {
    /// There is none, and the next request makes one.
    Idle {
        failures: u32,
    },
    /// One is being made.
    Connecting(watch::Receiver<Outcome>),
    Connected(Connected),
    /// It could not be made, and is not tried again before `until`.
    Resting {
        until: Moment,
        failures: u32,
        why: StoreError,
    },
}

#[derive(Clone)]
pub(super) struct Connected {
    connection: MultiplexedConnection,
    /// Which of the link's connections it is.
    number: u64,
}

/// A request that is under way. Dropped without an answer it has not been answered.
struct Sent<'a> {
    link: &'a Link,
    /// By which of the link's connections.
    number: u64,
    at: u64,
    answered: bool,
}

impl Sent<'_> {
    /// It was answered, or its connection broke.
    fn end(mut self, answer: Result<Value, RedisError>) -> Result<Value, SendError> {
        self.answered = true;
        answer.and_then(Value::extract_error).map_err(|error| self.link.failed(self.number, error))
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        let silent = &self.link.silent_since;
        if self.answered {
            silent.store(0, Ordering::Relaxed);
        } else {
            let _ = silent.compare_exchange(0, self.at, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Link {
    pub(super) fn new(client: Client, time: Time, connect_within: Duration) -> Arc<Self> {
        // The address alone: user and password stay out of messages.
        let name = client.get_connection_info().addr().to_string().into();
        Arc::new(Self {
            client,
            name,
            time,
            entropy: Entropy::system(),
            connect_within,
            state: Mutex::new(State::Idle { failures: 0 }),
            clock: ServerClock::new(),
            silent_since: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        })
    }

    /// How many connections have been made.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Sends one command. It is never sent twice.
    pub(super) async fn send(self: &Arc<Self>, command: &Cmd) -> Result<Value, SendError> {
        let mut connected = self.connected().await?;
        let sent = self.sending(connected.number);
        sent.end(connected.connection.send_packed_command(command).await)
    }

    /// Sends several commands, one directly behind the other. The last one's answer.
    pub(super) async fn send_last(
        self: &Arc<Self>,
        commands: &Pipeline,
        count: usize,
    ) -> Result<Value, SendError> {
        let mut connected = self.connected().await?;
        let sent = self.sending(connected.number);
        let last = count.saturating_sub(1);
        let answers = connected.connection.send_packed_commands(commands, last, 1).await;
        sent.end(answers.map(|mut answers| answers.pop().unwrap_or(Value::Nil)))
    }

    fn sending(&self, number: u64) -> Sent<'_> {
        let at = self.time.now().as_nanos().max(1);
        let silent_since = self.silent_since.load(Ordering::Relaxed);
        if silent_since != 0 && at.saturating_sub(silent_since) > nanos(SILENT) {
            // This one is still sent by the old connection; the next makes a new one.
            self.lose(number);
            self.silent_since.store(0, Ordering::Relaxed);
        }
        Sent { link: self, number, at, answered: false }
    }

    fn failed(&self, number: u64, error: RedisError) -> SendError {
        if error.is_unrecoverable_error() || error.is_io_error() {
            self.lose(number);
        }
        SendError::Redis(error)
    }

    /// Does without this connection from now on: it broke, or leads to a server that is not the one any more.
    pub(super) fn lose(&self, number: u64) {
        let mut state = self.state.lock();
        if matches!(&*state, State::Connected(connected) if connected.number == number) {
            *state = State::Idle { failures: 0 };
        }
    }

    /// The same, whichever it is.
    pub(super) fn lose_any(&self) {
        self.lose(self.connections());
    }

    async fn connected(self: &Arc<Self>) -> Result<Connected, StoreError> {
        let mut coming = {
            let mut state = self.state.lock();
            let (failures, may_begin) = match &*state {
                State::Connected(connected) => return Ok(connected.clone()),
                State::Connecting(coming) => (0, Err(coming.clone())),
                State::Idle { failures } => (*failures, Ok(())),
                State::Resting { until, failures, .. } if self.time.now() >= *until => {
                    (*failures, Ok(()))
                }
                State::Resting { why, .. } => return Err(why.clone()),
            };
            match may_begin {
                Err(coming) => coming,
                Ok(()) => {
                    let coming = self.connect(failures)?;
                    *state = State::Connecting(coming.clone());
                    coming
                }
            }
        };
        let outcome = coming.wait_for(Option::is_some).await;
        match outcome.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            // Its task was dropped with its runtime.
            _ => {
                *self.state.lock() = State::Idle { failures: 0 };
                Err(self.unreachable("the runtime that was connecting has shut down"))
            }
        }
    }

    /// Begins to connect, in a task of its own: those who wait for it may give up earlier.
    fn connect(self: &Arc<Self>, failures: u32) -> Result<watch::Receiver<Outcome>, StoreError> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| self.unreachable("connecting takes a tokio runtime"))?;
        let (tell, coming) = watch::channel(None);
        let link = Arc::clone(self);
        runtime.spawn(async move {
            let outcome = link.establish().await;
            let mut state = link.state.lock();
            *state = match &outcome {
                Ok(connected) => State::Connected(connected.clone()),
                Err(why) => {
                    let until = link.time.now() + link.rest(failures);
                    State::Resting { until, failures: failures.saturating_add(1), why: why.clone() }
                }
            };
            drop(state);
            // Nobody may be waiting any more.
            let _ = tell.send(Some(outcome));
        });
        Ok(coming)
    }

    async fn establish(&self) -> Result<Connected, StoreError> {
        // Deadlines are ours: of each request, and of this.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let attempt = self.client.get_multiplexed_async_connection_with_config(&config);
        let deadline = self.time.now() + self.connect_within;
        match within(&self.time, deadline, attempt).await {
            Some(Ok(connection)) => {
                self.clock.forget();
                self.silent_since.store(0, Ordering::Relaxed);
                let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
                Ok(Connected { connection, number })
            }
            Some(Err(error)) => Err(self.unreachable(&error.to_string())),
            None => Err(self.unreachable(&format!("no answer within {:?}", self.connect_within))),
        }
    }

    /// So that not all instances come back at the same moment.
    fn rest(&self, failures: u32) -> Duration {
        let rest = REST.saturating_mul(1 << failures.min(8)).min(LONGEST_REST);
        rest.mul_f64(0.5 + self.entropy.unit() / 2.0)
    }

    fn unreachable(&self, why: &str) -> StoreError {
        StoreError::Unreachable(format!("{}: {why}", self.name).into())
    }
}

/// Why a command has no answer.
pub(super) enum SendError {
    /// It was not sent.
    Store(StoreError),
    /// It was sent, and the server or the connection says this.
    Redis(RedisError),
}

impl From<StoreError> for SendError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SendError> for StoreError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Store(error) => error,
            SendError::Redis(error) if error.is_io_error() || error.is_unrecoverable_error() => {
                Self::Broken(error.to_string().into())
            }
            SendError::Redis(error) => Self::Refused(error.to_string().into()),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("name", &self.name).finish_non_exhaustive()
    }
}
