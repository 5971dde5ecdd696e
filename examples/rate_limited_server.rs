//! Limits in front of an axum server, in layers: 20 requests a second in all, 10 a minute for each user, and 5 at once, then 1 a
//! second, for each endpoint. A refusal by one takes nothing from the others. Ask it with curl.
//!
//! It ends by ctrl-c, or after ten minutes.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::{Router, routing::get};
use seawall::Time;
use seawall::clock::Clock;
use seawall::layer::{Key, Layers, RateLimitLayer};
use seawall::limit::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Anybody can claim to be anybody here: a real server counts by whom it has authenticated, or else by address.
    let user = Key::header("x-user".parse()?).or(Key::peer());
    let layers = Layers::builder(Clock::system().now())
        .all("global", &Config::token_bucket(20, 20.0)?)
        .each("user", user, &Config::token_bucket(10, 10.0 / 60.0)?)
        .each("endpoint", Key::path_template(), &Config::token_bucket(5, 1.0)?)
        .build()?;
    let layer = RateLimitLayer::new(layers).exempt_path("/health");

    let app = Router::new()
        .route("/", get(|| async { "hello\n" }))
        .route("/search", get(|| async { "nothing found\n" }))
        .route("/health", get(|| async { "well\n" }))
        .layer(layer)
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    println!(
        "try: for path in {{,,,,,,search}}{{,}}; do curl -si -H 'X-User: anna' http://{address}/$path; done"
    );

    let end = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = Time::system().sleep(Duration::from_secs(600)) => {}
        }
    };
    axum::serve(listener, app).with_graceful_shutdown(end).await?;
    Ok(())
}
