//! What the scripts' answers say.

use std::time::Duration;

use redis::{FromRedisValue, Value};

use crate::distributed::store::{
    BoardStanding, Epoch, Lease, Membership, Prober, StoreError, TakeRequest, Verdict, VerdictKind,
};

/// Numbers that the script `take` says of each cost.
const OF_A_COST: usize = 6;

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.into())
}

pub(super) fn numbers(value: Value) -> Result<Vec<i64>, StoreError> {
    Vec::from_redis_value(value).map_err(|error| corrupt(&error.to_string()))
}

fn count_of(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Microseconds; less than none is never.
fn wait(number: i64) -> Option<Duration> {
    u64::try_from(number).ok().map(Duration::from_micros)
}

pub(super) fn verdicts(numbers: &[i64], request: &TakeRequest) -> Result<Vec<Verdict>, StoreError> {
    let of_costs = numbers.get(1..).unwrap_or_default();
    if of_costs.len() != request.costs.len() * OF_A_COST {
        return Err(corrupt("it does not speak of each cost"));
    }
    let verdict = |six: &[i64]| {
        let &[taken, at, remaining, reset, retry, refusing] = six else {
            return Err(corrupt("it says too little of a cost"));
        };
        let at = usize::try_from(at - 1).ok().filter(|at| *at < request.limits.len());
        let kind = match taken {
            1 => VerdictKind::Taken,
            0 => VerdictKind::Refused,
            _ => VerdictKind::Late,
        };
        Ok(Verdict {
            kind,
            at: at.ok_or_else(|| corrupt("it names a limit that was not asked"))?,
            remaining: count_of(remaining),
            reset_after: wait(reset).unwrap_or_default(),
            retry_after: if kind == VerdictKind::Refused { wait(retry) } else { None },
            refusing: u32::try_from(refusing).unwrap_or(0),
        })
    };
    of_costs.chunks(OF_A_COST).map(verdict).collect()
}

pub(super) fn lease(numbers: &[i64]) -> Result<Lease, StoreError> {
    let &[_, epoch, granted, retry, window, remaining] = numbers else {
        return Err(corrupt("it does not say what is leased"));
    };
    Ok(Lease {
        epoch: Epoch(count_of(epoch)),
        granted: count_of(granted),
        retry_after: wait(retry),
        window: count_of(window),
        remaining: count_of(remaining),
    })
}

pub(super) fn membership(numbers: &[i64]) -> Result<Membership, StoreError> {
    let &[_, instances, place] = numbers else {
        return Err(corrupt("it does not say who is alive"));
    };
    Ok(Membership { instances: count_of(instances), place: count_of(place) })
}

pub(super) fn standing(numbers: &[i64]) -> Result<BoardStanding, StoreError> {
    let &[_, open, holds, prober, closed_ago] = numbers else {
        return Err(corrupt("it does not say how the breaker is elsewhere"));
    };
    Ok(BoardStanding {
        open: count_of(open),
        holds: wait(holds).unwrap_or_default(),
        prober: match prober {
            1 => Prober::This,
            2 => Prober::Another,
            _ => Prober::Nobody,
        },
        closed_ago: wait(closed_ago),
    })
}

pub(super) fn count(value: &Value) -> u64 {
    match value {
        Value::Int(count) => count_of(*count),
        _ => 0,
    }
}

/// A page of `SCAN`: where the next begins (0: there is none), and the names.
pub(super) fn page(value: Value) -> Result<(u64, Vec<String>), StoreError> {
    <(u64, Vec<String>)>::from_redis_value(value).map_err(|error| corrupt(&error.to_string()))
}
