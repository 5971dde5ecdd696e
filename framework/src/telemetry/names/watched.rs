//! The metrics of limits, queues and pools, which have names of their own.

use super::{DECISION, END, LIMIT, Metric, POLICY, POOL, QUEUE, counter, flag, gauge};

/// Requests that a limit in front of a server has decided about.
pub const LIMIT_REQUESTS: Metric = counter(
    "seawall_limit_requests_total",
    &[LIMIT, POLICY, DECISION],
    "Requests that a limit in front of a server allowed or refused, by the policy that decided.",
);
/// Keys that such a limit holds; limits without keys have no such series.
pub const LIMIT_KEYS: Metric =
    gauge("seawall_limit_keys", &[LIMIT], "Keys that a limit in front of a server keeps count of.");

/// Requests to the store of shared limits.
pub const LIMIT_ROUND_TRIPS: Metric = counter(
    "seawall_limit_round_trips_total",
    &[LIMIT],
    "Requests that the store of shared limits was sent.",
);
/// Scripts that the store had lost.
pub const LIMIT_SCRIPT_RELOADS: Metric = counter(
    "seawall_limit_script_reloads_total",
    &[LIMIT],
    "Scripts that the store of shared limits had forgotten and was sent again.",
);
/// Requests that the store has not decided.
pub const LIMIT_UNDECIDED: Metric = counter(
    "seawall_limit_undecided_total",
    &[LIMIT],
    "Requests that the store of shared limits has not decided in time.",
);
/// Refusals without a round trip.
pub const LIMIT_REMEMBERED: Metric = counter(
    "seawall_limit_remembered_refusals_total",
    &[LIMIT],
    "Requests that were refused without a round trip, because an earlier refusal still held.",
);
/// For how long the store has not decided.
pub const LIMIT_DEGRADED: Metric = counter(
    "seawall_limit_degraded_milliseconds_total",
    &[LIMIT],
    "Milliseconds in which the store of shared limits did not decide.",
);
/// Leases that are out.
pub const LIMIT_LEASED: Metric = gauge(
    "seawall_limit_leased",
    &[LIMIT],
    "What this instance holds of leases of shared limits and has not used.",
);
/// Who shares a limit.
pub const LIMIT_INSTANCES: Metric = gauge(
    "seawall_limit_instances",
    &[LIMIT],
    "Instances that share the limits, as the store last said.",
);

/// The metrics of limits that are watched. They have no label `dependency`.
pub static OF_LIMITS: [Metric; 9] = [
    LIMIT_REQUESTS,
    LIMIT_KEYS,
    LIMIT_ROUND_TRIPS,
    LIMIT_SCRIPT_RELOADS,
    LIMIT_UNDECIDED,
    LIMIT_REMEMBERED,
    LIMIT_DEGRADED,
    LIMIT_LEASED,
    LIMIT_INSTANCES,
];

/// Items of a queue.
pub const QUEUE_ITEMS: Metric = counter(
    "seawall_queue_items_total",
    &[QUEUE, END],
    "Items of a queue: received, and of these processed, dropped, merged into others; and those whose producers had to wait.",
);
/// Items that wait.
pub const QUEUE_DEPTH: Metric =
    gauge("seawall_queue_depth", &[QUEUE], "Items waiting in a queue now.");
/// How full a queue is.
pub const QUEUE_FILL_RATIO: Metric =
    flag("seawall_queue_fill_ratio", &[QUEUE], "The share of a queue that is taken, from 0 to 1.");

/// The metrics of queues that are watched. They have no label `dependency`.
pub static OF_QUEUES: [Metric; 3] = [QUEUE_ITEMS, QUEUE_DEPTH, QUEUE_FILL_RATIO];

/// A pool's threads.
pub const POOL_THREADS: Metric =
    gauge("seawall_pool_threads", &[POOL], "Threads of a pool for blocking calls.");
/// Works that run.
pub const POOL_ACTIVE: Metric =
    gauge("seawall_pool_active", &[POOL], "Works that a pool's threads are busy with now.");
/// Works that nobody waits for.
pub const POOL_ABANDONED: Metric = gauge(
    "seawall_pool_abandoned",
    &[POOL],
    "Of those, works that nobody waits for any more: their threads are stuck until they return.",
);
/// Works that wait.
pub const POOL_QUEUED: Metric =
    gauge("seawall_pool_queued", &[POOL], "Works waiting for a thread of a pool now.");
/// What became of works.
pub const POOL_WORKS: Metric = counter(
    "seawall_pool_works_total",
    &[POOL, END],
    "Works of a pool: received, and of these completed, panicked, rejected, or withdrawn before they began.",
);

/// The metrics of thread pools. They have no label `dependency`.
pub static OF_POOLS: [Metric; 5] =
    [POOL_THREADS, POOL_ACTIVE, POOL_ABANDONED, POOL_QUEUED, POOL_WORKS];
