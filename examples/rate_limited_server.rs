//! A limit in front of an axum server: 5 requests at once and 1 a second after. Ask it with curl.
//!
//! It ends by ctrl-c, or after ten minutes.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::{Router, routing::get};
use seawall::Time;
use seawall::clock::Clock;
use seawall::layer::{Policy, RateLimitLayer};
use seawall::limit::{AnyAlgorithm, Config, RateLimiter};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::token_bucket(5, 1.0)?;
    let limiter = RateLimiter::new(AnyAlgorithm::new(&config), Clock::system().now());
    let policy = Policy::of("demo", &config)?;
    let layer = RateLimitLayer::new(limiter).policy(policy).exempt_path("/health");

    let app = Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route("/health", get(|| async { "well\n" }))
        .layer(layer)
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!("try: for i in 1 2 3 4 5 6 7; do curl -si http://{address}/; done");

    let end = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = Time::system().sleep(Duration::from_secs(600)) => {}
        }
    };
    axum::serve(listener, app).with_graceful_shutdown(end).await?;
    Ok(())
}
