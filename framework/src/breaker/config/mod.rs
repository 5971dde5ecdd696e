//! A breaker's settings.

mod builder;

use std::time::Duration;

use serde::Serialize;

use super::adaptive;

pub use builder::Builder;

/// The longest a breaker may be told to stay open: 30 days.
pub const MAX_OPEN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// The largest count of calls a window holds.
pub const MAX_WINDOW_CALLS: u32 = 1_000_000;
/// The most failures in a row that can be bounded by time: each takes 8 bytes.
pub const MAX_TIMED_FAILURES: u32 = 10_000;
/// The most probes a half-open breaker may let through at once.
pub const MAX_HALF_OPEN_CALLS: u32 = 500;
/// The most that an open time may grow by from one opening to the next.
pub const MAX_OPEN_GROWTH: f64 = 100.0;

/// The most attempts without an answer in a row that can be asked for.
pub const MAX_UNANSWERED: u32 = 4_000;

/// Fewer attempts in a row without an answer than this can be chance: where one caller in twenty gives up, ten in a row do
/// once in 10^13.
pub(super) const MIN_UNANSWERED: u32 = 10;
/// How long the first opening lasts, unless told otherwise.
const DEFAULT_FIRST_OPEN_FOR: Duration = Duration::from_secs(1);
/// Where growing open times end, unless told otherwise.
const MAX_GROWN: Duration = Duration::from_secs(600);

/// What a rate is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// The last N calls.
    Calls(u32),
    /// The last stretch of time, in ten buckets that slide as one.
    Time(Duration),
}

/// What opens a breaker: any of these is enough.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Trip {
    /// This many failures in a row; any success starts the count again.
    pub failures: Option<u32>,
    /// For a dependency that fails now and then and is still wanted, `failures` grows with the share of errors that was
    /// seen between half a minute and four minutes ago: to 7 at 5 %, 8 at 10 %, 12 at 20 % and 17 at a third. Above that,
    /// and for a dependency that was healthy, it stays what it is. True only where no policy says how many failures.
    pub failures_grow: bool,
    /// Only failures in a row that lie within this length of time count.
    pub failures_within: Option<Duration>,
    /// This many attempts in a row that ended without any answer: timed out, or dropped by their callers. An answer of any
    /// kind, a failure too, starts the count again. While more than four times as many attempts are out, a quarter of
    /// those is needed.
    pub unanswered: Option<u32>,
    /// Shares of bad calls among the latest.
    pub rates: Option<Rates>,
    /// A share of failures far above what is normal for the hour of the week.
    pub adaptive: Option<adaptive::Config>,
}

impl Trip {
    /// How many calls the window of the last calls holds, if there is one.
    pub(in crate::breaker) fn calls(&self) -> Option<u32> {
        self.rates.and_then(|rates| rates.calls)
    }
}

/// Which shares of the latest calls are too much, once there have been enough calls to speak of a share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Rates {
    /// At or above this share of failures, in `(0, 1]`, the breaker opens.
    pub failure_rate: Option<f64>,
    /// At or above this share of slow calls, in `(0, 1]`, well answered or not, the breaker opens.
    pub slow_call_rate: Option<f64>,
    /// With fewer calls than this in a window the shares do not count.
    pub min_calls: u32,
    /// At this many failures in a window the breaker opens, however many calls there were.
    pub max_failures: Option<u32>,
    /// The shares are taken over the last this many calls.
    pub calls: Option<u32>,
    /// And, or instead, over the last stretch of time, in ten buckets that slide as one.
    pub time: Option<Duration>,
}

/// How a half-open breaker makes up its mind. The best libraries disagree, so it has a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum HalfOpenMode {
    /// `success_threshold` successes close it, the first failure opens it again.
    #[default]
    FirstFailure,
    /// One probe, whose answer decides (as Polly does).
    OneProbe,
    /// `half_open_calls` probes; once all have answered, the share of failures among them is compared
    /// with `failure_rate` (as Resilience4j does). Only with a failure rate.
    AllProbes,
    /// As `all_probes`, but as soon as the probes still out can change nothing.
    Early,
}

impl HalfOpenMode {
    /// Every mode.
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 4] =
        [Self::FirstFailure, Self::OneProbe, Self::AllProbes, Self::Early];

    /// The name that a policy file uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstFailure => "first_failure",
            Self::OneProbe => "one_probe",
            Self::AllProbes => "all_probes",
            Self::Early => "early",
        }
    }

    /// Whether the probes' share of failures decides, so that there is a fixed number of them.
    pub(super) fn is_by_rate(self) -> bool {
        matches!(self, Self::AllProbes | Self::Early)
    }
}

/// What a breaker may do about what it sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Enforcement {
    /// It refuses.
    #[default]
    Enforce,
    /// It opens and closes, reports and counts what it would have refused, and refuses nothing.
    Observe,
    /// It admits every call and counts nothing.
    Disabled,
}

impl Enforcement {
    /// Every one of them.
    pub const ALL: &[Self] = &Self::EVERY;
    pub(crate) const EVERY: [Self; 3] = [Self::Enforce, Self::Observe, Self::Disabled];

    /// The name that a policy file uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
            Self::Disabled => "disabled",
        }
    }
}

/// The memory of a window of this many calls, in bytes.
fn window_bytes(calls: u32) -> u64 {
    u64::from(calls).next_power_of_two() * 8
}

/// How a recovered dependency gets its traffic back.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ramp {
    /// The share of calls that is let through at first, in `(0, 1)`.
    pub from: f64,
    /// How long it takes to reach all of them, growing evenly.
    pub over: Duration,
}

/// A breaker's settings, checked. Built by [`Config::builder`]; the default is
/// 5 failures in a row (more for a dependency that usually fails now and then), open for 1 s at first and 30 s at last, 5
/// half-open calls, 2 successes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    trip: Trip,
    first_open_for: Duration,
    open_for: Duration,
    half_open_calls: u32,
    success_threshold: u32,
    slow_call: Option<Duration>,
    probe_life: Duration,
    half_open: HalfOpenMode,
    open_growth: f64,
    max_open_for: Duration,
    open_jitter: f64,
    healthy_after: Duration,
    ramp: Option<Ramp>,
    enforcement: Enforcement,
    use_retry_after: bool,
}

impl Config {
    /// It admits every call.
    pub(crate) fn off() -> Self {
        Self { enforcement: Enforcement::Disabled, ..Self::default() }
    }
    /// For a store of shared limits: open for 1 s at most, because limits are decided without the store meanwhile.
    pub(crate) fn for_store() -> Self {
        let (first_open_for, open_for) = (Duration::from_millis(500), Duration::from_secs(1));
        Self { first_open_for, open_for, healthy_after: open_for, ..Self::default() }
    }
    /// Starts from the defaults.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }
    /// What opens the breaker.
    #[must_use]
    pub fn trip(&self) -> Trip {
        self.trip
    }
    /// How long the first opening lasts. Those that follow, without a healthy spell in between, last twice as long each
    /// time, until they last [`Config::open_for`]. Default 1 s, or `open_for` if that is shorter.
    #[must_use]
    pub fn first_open_for(&self) -> Duration {
        self.first_open_for
    }
    /// How long it stays open before probes are let through, once the first, shorter openings have not helped. Default
    /// 30 s; 60 s by failure rate, fixed or adaptive.
    #[must_use]
    pub fn open_for(&self) -> Duration {
        self.open_for
    }
    /// How many probes may be out at once while half-open. Default 5.
    #[must_use]
    pub fn half_open_calls(&self) -> u32 {
        self.half_open_calls
    }
    /// How many probes must succeed before it closes. Default 2.
    #[must_use]
    pub fn success_threshold(&self) -> u32 {
        self.success_threshold
    }
    /// From here on a call counts as slow, and dropped after it as a failure. Default: the attempt's timeout.
    #[must_use]
    pub fn slow_call(&self) -> Option<Duration> {
        self.slow_call
    }
    /// How long a probe may take, from when it was let through. After that its place is given to another, whatever
    /// the other probes do, and its answer is stale; its permit is not given back. Default 30 s.
    #[must_use]
    pub fn probe_life(&self) -> Duration {
        self.probe_life
    }
    /// How a half-open breaker decides. Default: by the first failure, or `success_threshold` successes.
    #[must_use]
    pub fn half_open(&self) -> HalfOpenMode {
        self.half_open
    }
    /// Each opening after the first that lasts `open_for` lasts this many times as long as the one before. Default 1: all
    /// the same.
    #[must_use]
    pub fn open_growth(&self) -> f64 {
        self.open_growth
    }
    /// No opening lasts longer. Default 10 min, or `open_for` if that is longer.
    #[must_use]
    pub fn max_open_for(&self) -> Duration {
        self.max_open_for
    }
    /// Each opening is up to this share shorter or longer, by chance, so that many instances do not
    /// come back together; never longer than `max_open_for`, and never shorter than the server asked for.
    /// Default 0.
    #[must_use]
    pub fn open_jitter(&self) -> f64 {
        self.open_jitter
    }
    /// After being closed for this long the next opening lasts `first_open_for` again. Default `open_for`.
    #[must_use]
    pub fn healthy_after(&self) -> Duration {
        self.healthy_after
    }
    /// The slow start after closing. Default none: all calls at once.
    #[must_use]
    pub fn ramp(&self) -> Option<Ramp> {
        self.ramp
    }
    /// Whether it refuses. Default: it does.
    #[must_use]
    pub fn enforcement(&self) -> Enforcement {
        self.enforcement
    }
    /// Whether an opening lasts at least as long as the server asked for. Default: it does, at most `max_open_for`.
    #[must_use]
    pub fn use_retry_after(&self) -> bool {
        self.use_retry_after
    }

    /// The memory that the window of calls takes, in bytes.
    pub(crate) fn window_bytes(&self) -> u64 {
        self.trip.calls().map_or(0, window_bytes)
    }

    /// The same for the breaker of one key among many, which lives too short to learn a week: in the place
    /// of an adaptive threshold it has the highest one that this could come to, unless a `failure_rate` is
    /// set, in the windows of the rates that there are, or that of the adaptive one.
    pub(crate) fn for_key(&self) -> Self {
        let mut config = self.clone();
        let Some(adaptive) = config.trip.adaptive.take() else { return config };
        let rates = config.trip.rates.get_or_insert(Rates {
            failure_rate: None,
            slow_call_rate: None,
            min_calls: adaptive.min_calls(),
            max_failures: None,
            calls: None,
            time: Some(adaptive.window()),
        });
        rates.failure_rate.get_or_insert(adaptive.max());
        config
    }

    /// Whether slow calls count towards opening.
    pub(super) fn minds_slow_calls(&self) -> bool {
        self.trip.rates.is_some_and(|rates| rates.slow_call_rate.is_some())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            trip: Trip {
                failures: Some(5),
                failures_grow: true,
                failures_within: None,
                unanswered: Some(MIN_UNANSWERED),
                rates: None,
                adaptive: None,
            },
            first_open_for: DEFAULT_FIRST_OPEN_FOR,
            open_for: Duration::from_secs(30),
            half_open_calls: 5,
            success_threshold: 2,
            slow_call: None,
            probe_life: Duration::from_secs(30),
            half_open: HalfOpenMode::FirstFailure,
            open_growth: 1.0,
            max_open_for: MAX_GROWN,
            open_jitter: 0.0,
            healthy_after: Duration::from_secs(30),
            ramp: None,
            enforcement: Enforcement::Enforce,
            use_retry_after: true,
        }
    }
}
