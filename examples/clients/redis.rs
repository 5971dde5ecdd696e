//! Redis behind its guards: what its server refuses for a reason is not held against it, and a server that is killed is.
//!
//! `cargo run -p seawall-client-examples --example redis` starts a server of its own, if one is installed.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

#[path = "server.rs"]
mod server;

use std::error::Error;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client, RedisError};
use seawall::prelude::*;
use seawall::{State, Time, classify};
use server::{Server, installed};

#[derive(Debug, thiserror::Error)]
enum CacheError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error(transparent)]
    Fault(#[from] Fault),
}

#[resilient(classify = redis_class)]
trait Cache {
    #[call(idempotent)]
    async fn get(&self, key: &str) -> Result<Option<String>, CacheError>;
    async fn push(&self, key: &str, value: &str) -> Result<(), CacheError>;
}

/// What an answer says of the server: by its code, if the server has answered.
fn redis_class<T>(answer: &Result<T, CacheError>) -> Class {
    match answer {
        Ok(_) => Class::Success,
        Err(CacheError::Redis(error)) => error.code().map_or(Class::Failure, classify::redis_code),
        Err(CacheError::Fault(_)) => Class::Failure,
    }
}

struct Redis(ConnectionManager);

impl Cache for Redis {
    async fn get(&self, key: &str) -> Result<Option<String>, CacheError> {
        Ok(self.0.clone().get(key).await?)
    }

    async fn push(&self, key: &str, value: &str) -> Result<(), CacheError> {
        Ok(self.0.clone().lpush(key, value).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Some(program) = installed("redis-server").or_else(|| installed("valkey-server")) else {
        println!("skipped: no server of Redis is installed (apt-get install redis-server)");
        return Ok(());
    };
    let mut server = Server::new("redis")?;
    let port = server.port().to_string();
    let folder = server.folder().display().to_string();
    let args = [
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        &folder,
    ];
    server.start(&program, &args)?;
    let time = Time::system();

    // No retries of the manager's own: an attempt is one.
    let config = ConnectionManagerConfig::new().set_number_of_retries(0);
    let client = Client::open(format!("redis://127.0.0.1:{port}"))?;
    // It takes a moment to start.
    let manager = loop {
        match ConnectionManager::new_with_config(client.clone(), config.clone()).await {
            Ok(manager) => break manager,
            Err(_) => time.sleep(Duration::from_millis(50)).await,
        }
    };
    let policy = r#"cache = { timeout = "500ms", deadline = "1s", retry = false }"#;
    let seawall = Seawall::builder().policy_text("redis.toml", policy).start()?;
    let cache: CacheClient<Redis> = seawall.spawn("cache", Redis(manager.clone())).await?;
    let handle = seawall.dependency("cache").ok_or("it was spawned just now")?;

    let () = manager.clone().set("rate", "1.08").await?;
    println!("rate: {:?}", cache.get("rate").await?);
    for _ in 0..10 {
        let Err(CacheError::Redis(error)) = cache.push("rate", "1.09").await else {
            return Err("a text is no list".into());
        };
        if error.code() != Some("WRONGTYPE") {
            return Err(error.into());
        }
    }
    println!("ten commands refused by the server, WRONGTYPE: the breaker is {}", handle.state());

    server.kill()?;
    while handle.state() == State::Closed {
        let _ = cache.get("rate").await;
    }
    let opened = handle.snapshot().breaker.transitions;
    println!("the server is killed: {}", opened.last().ok_or("it moved")?.cause);
    println!("refused: {}", cache.get("rate").await.expect_err("it is open"));

    server.start(&program, &args)?;
    while handle.state() != State::Closed {
        let _ = cache.get("rate").await;
        time.sleep(Duration::from_millis(50)).await;
    }
    println!("it is back: rate: {:?}", cache.get("rate").await?);
    seawall.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
