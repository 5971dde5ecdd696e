//! PostgreSQL behind its guards: what its server refuses for a reason is not held against it, and a server that is killed is.
//!
//! `cargo run -p seawall-client-examples --example postgres` starts a server of its own, if one is installed.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

#[path = "server.rs"]
mod server;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use seawall::prelude::*;
use seawall::{State, Time, classify};
use server::{Server, installed};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Fault(#[from] Fault),
}

#[resilient(classify = postgres)]
trait Orders {
    async fn place(&self, id: i64) -> Result<(), OrderError>;
    #[call(idempotent)]
    async fn count(&self) -> Result<i64, OrderError>;
}

/// What an answer says of the server: by its SQLSTATE, if the server has answered.
fn postgres<T>(answer: &Result<T, OrderError>) -> Class {
    match answer {
        Ok(_) => Class::Success,
        Err(OrderError::Sql(sqlx::Error::Database(error))) => {
            error.code().map_or(Class::Failure, |code| classify::sqlstate(&code))
        }
        Err(OrderError::Sql(sqlx::Error::RowNotFound)) => Class::Ignored,
        // The connection, the pool, the protocol.
        Err(_) => Class::Failure,
    }
}

struct Database(PgPool);

impl Orders for Database {
    async fn place(&self, id: i64) -> Result<(), OrderError> {
        sqlx::query("INSERT INTO orders VALUES ($1)").bind(id).execute(&self.0).await?;
        Ok(())
    }

    async fn count(&self) -> Result<i64, OrderError> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&self.0).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (Some(initdb), Some(program)) = (installed("initdb"), installed("postgres")) else {
        println!("skipped: no server of PostgreSQL is installed (apt-get install postgresql)");
        return Ok(());
    };
    let mut server = Server::new("postgres")?;
    let data = server.folder().join("data").display().to_string();
    let made = ["-D", &data, "-U", "shop", "-A", "trust", "--no-sync"];
    let made = server.command(&initdb, &made).output()?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into());
    }
    start(&mut server, &program, &data)?;

    // No call waits for a connection for longer than its timeout, and none waits in the pool behind the bulkhead.
    let options = PgConnectOptions::new()
        .host("127.0.0.1")
        .port(server.port())
        .username("shop")
        .database("postgres");
    let pool = PgPoolOptions::new().max_connections(5).acquire_timeout(Duration::from_millis(400));
    let pool = pool.connect_lazy_with(options);
    let policy = r#"orders = { timeout = "500ms", deadline = "2s", retry = false, bulkhead = { max_concurrent = 5 } }"#;
    let seawall = Seawall::builder().policy_text("postgres.toml", policy).start()?;
    let orders: OrdersClient<Database> = seawall.spawn("orders", Database(pool.clone())).await?;
    let handle = seawall.dependency("orders").ok_or("it was spawned just now")?;
    let time = Time::system();

    // It takes a moment to start.
    while sqlx::query("CREATE TABLE IF NOT EXISTS orders (id BIGINT PRIMARY KEY)")
        .execute(&pool)
        .await
        .is_err()
    {
        time.sleep(Duration::from_millis(50)).await;
    }
    orders.place(1).await?;
    for _ in 0..10 {
        let Err(OrderError::Sql(sqlx::Error::Database(error))) = orders.place(1).await else {
            return Err("a second order of the same number was placed".into());
        };
        if error.code().as_deref() != Some("23505") {
            return Err(format!("another error: {error}").into());
        }
    }
    println!("ten orders refused by the server, SQLSTATE 23505: the breaker is {}", handle.state());

    server.kill()?;
    while handle.state() == State::Closed {
        let _ = orders.count().await;
    }
    let opened = handle.snapshot().breaker.transitions;
    println!("the server is killed: {}", opened.last().ok_or("it moved")?.cause);
    println!("refused: {}", orders.count().await.expect_err("it is open"));

    start(&mut server, &program, &data)?;
    while handle.state() != State::Closed {
        let _ = orders.count().await;
        time.sleep(Duration::from_millis(50)).await;
    }
    println!("it is back: {} order", orders.count().await?);
    seawall.shutdown(Duration::from_secs(1)).await;
    pool.close().await;
    Ok(())
}

fn start(server: &mut Server, program: &Path, data: &str) -> Result<(), Box<dyn Error>> {
    let port = server.port().to_string();
    let sockets = server.folder().display().to_string();
    // A server that was killed has left its lock file: the next one sees that its process is gone.
    let args = ["-D", data, "-p", &port, "-h", "127.0.0.1", "-k", &sockets, "-F"];
    Ok(server.start(program, &args)?)
}
