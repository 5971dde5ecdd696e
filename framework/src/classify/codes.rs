//! Errors of databases, by the codes that their servers send.

use crate::outcome::Class;

/// What an error of PostgreSQL says about the server, by its SQLSTATE (PostgreSQL documentation, appendix A): `"53300"`.
///
/// | SQLSTATE | class |
/// | --- | --- |
/// | 08 connection, 53 resources, 57P01 to 57P05 shutdown and crash, 58 system, XX internal | failure |
/// | 57014 query cancelled: a `statement_timeout`, or somebody's order | failure |
/// | everything else: constraints, syntax, permissions, serialization failures, deadlocks | ignored |
///
/// Serialization failures and deadlocks (40001, 40P01) are worth another attempt of the whole transaction, which is not a call's
/// business: say so by `#[call(retry(when = …))]` if a call is a whole transaction.
///
/// With `sqlx`, for a whole trait:
///
/// ```text
/// fn postgres<T>(answer: &Result<T, sqlx::Error>) -> Class {
///     match answer {
///         Ok(_) => Class::Success,
///         Err(sqlx::Error::Database(error)) => {
///             error.code().map_or(Class::Failure, |code| seawall::classify::sqlstate(&code))
///         }
///         Err(sqlx::Error::RowNotFound) => Class::Ignored,
///         // The connection, the pool, the protocol.
///         Err(_) => Class::Failure,
///     }
/// }
/// ```
///
/// With `tokio-postgres` the code is `error.code().map(SqlState::code)`.
///
/// **Time limits of the client.** `sqlx` waits 30 s for a connection from its pool (`acquire_timeout`), inside the guarded call: make it
/// shorter than `timeout`, and the pool at least as large as `bulkhead.max_concurrent`. A statement goes on at the server after its
/// call timed out: set `statement_timeout` to about the timeout.
#[must_use]
pub fn sqlstate(code: &str) -> Class {
    let is_of = |class: &str| code.starts_with(class);
    if ["08", "53", "57P", "58", "XX"].into_iter().any(is_of) || code == "57014" {
        Class::Failure
    } else {
        Class::Ignored
    }
}

/// What an error of Redis says about the server, by its code, the first word of what it sent: `"LOADING"`.
///
/// `LOADING`, `BUSY`, `OOM`, `MISCONF`, `MASTERDOWN`, `CLUSTERDOWN`, `TRYAGAIN`, `READONLY`, `NOREPLICAS` and `UNBLOCKED` are failures;
/// all others, `WRONGTYPE` or `NOAUTH`, say that the server is there, and are ignored.
///
/// With the `redis` crate, for a whole trait:
///
/// ```text
/// fn redis<T>(answer: &Result<T, redis::RedisError>) -> Class {
///     match answer {
///         Ok(_) => Class::Success,
///         // None: it did not come from the server. The connection, the protocol, a timeout.
///         Err(error) => error.code().map_or(Class::Failure, seawall::classify::redis_code),
///     }
/// }
/// ```
///
/// **Time limits and retries of the client.** `redis::aio::ConnectionManager` connects anew, with backoff and retries of its own, inside
/// the guarded call: give it `ConnectionManagerConfig::new().set_number_of_retries(0)` and a `response_timeout` of about the policy's
/// `timeout`, or one attempt here is many there.
#[must_use]
pub fn redis_code(code: &str) -> Class {
    match code {
        "LOADING" | "BUSY" | "OOM" | "MISCONF" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN"
        | "READONLY" | "NOREPLICAS" | "UNBLOCKED" => Class::Failure,
        _ => Class::Ignored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_cannot_serve_fails_and_one_that_refuses_a_statement_does_not() {
        for code in ["08006", "53300", "57P01", "57P03", "57014", "58030", "XX000"] {
            assert_eq!(sqlstate(code), Class::Failure, "{code}");
        }
        for code in ["23505", "42601", "40001", "40P01", "57000", "22012", "", "5"] {
            assert_eq!(sqlstate(code), Class::Ignored, "{code}");
        }
    }

    #[test]
    fn redis_that_is_loading_fails_and_one_that_holds_another_type_does_not() {
        for code in ["LOADING", "CLUSTERDOWN", "OOM"] {
            assert_eq!(redis_code(code), Class::Failure, "{code}");
        }
        for code in ["WRONGTYPE", "NOAUTH", "ERR", "", "loading"] {
            assert_eq!(redis_code(code), Class::Ignored, "{code}");
        }
    }
}
