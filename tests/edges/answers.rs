//! What an independent client reads from a real server.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use seawall::Time;
use seawall::clock::Clock;
use seawall::layer::{Key, KeyValue, PerKey, Proxies, QuotaPolicy, RateLimitLayer, ResetStyle};
use seawall::limit::{AnyAlgorithm, Config, KeyedConfig, KeyedLimiter, RateLimiter, TokenBucket};

use super::server::{Server, bucket, client, limiter};

fn line<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn get(server: &Server, path: &str) -> Response {
    client().get(server.url(path)).send().await.unwrap()
}

#[tokio::test]
async fn each_refusals_retry_after_is_honest() {
    let server = Server::start(RateLimitLayer::new(limiter(2, 1.0))).await;
    let time = Time::system();
    for _ in 0..3 {
        let refused = loop {
            let answer = get(&server, "/").await;
            if answer.status() == StatusCode::TOO_MANY_REQUESTS {
                break answer;
            }
        };
        let after: u64 = line(&refused, "retry-after").parse().unwrap();
        assert_eq!(after, 1);
        // The server is real, so is its time, and this wait is what is tested.
        time.sleep(Duration::from_secs(after)).await;
        assert_eq!(get(&server, "/").await.status(), StatusCode::OK);
    }
}

/// A client that upon each refusal waits for exactly as long as it is told passes; and a second less would not have been enough.
/// The time is turned by hand, so each wait is exact, and none takes any.
async fn execute(config: Config, cost: u64) {
    let (clock, crank) = Clock::manual();
    let limiter = RateLimiter::new(AnyAlgorithm::new(&config), clock.now());
    let layer = RateLimitLayer::new(limiter).clock(clock).cost(move |_| cost);
    let server = Server::start(layer.reset(ResetStyle::Delta)).await;
    let client = client();
    let ask = async || client.get(server.url("/")).send().await.unwrap();
    for round in 0..12 {
        // Never twice at the same place in a window or a second.
        crank.advance(Duration::from_micros(round * 83_457));
        let refused = loop {
            let answer = ask().await;
            if answer.status() != StatusCode::OK {
                break answer;
            }
        };
        let told = |answer: &Response| {
            assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS, "{config:?}, {cost}");
            assert_eq!(line(answer, "x-ratelimit-reset"), line(answer, "retry-after"));
            line(answer, "retry-after").parse::<u64>().unwrap()
        };
        let after = told(&refused);
        if after > 1 {
            crank.advance(Duration::from_secs(after - 1));
            assert_eq!(told(&ask().await), 1, "{config:?}, {cost}: told to wait {after} s");
        }
        crank.advance(Duration::from_secs(1));
        let status = ask().await.status();
        assert_eq!(status, StatusCode::OK, "{config:?}, {cost}: has waited {after} s");
    }
}

#[tokio::test]
async fn whoever_waits_as_long_as_each_refusal_says_passes_under_every_algorithm() {
    // Half a request a second, three, and two hundred.
    for (most, seconds) in [(5, 10.0), (6, 2.0), (20, 0.1)] {
        let (rate, window) = (most as f64 / seconds, Duration::from_secs_f64(seconds));
        for config in [
            Config::token_bucket(most, rate),
            Config::leaky_bucket(most, rate),
            Config::fixed_window(most, window),
            Config::sliding_log(most, window),
            Config::sliding_window(most, window),
        ] {
            let config = config.unwrap();
            for cost in [1, 3] {
                execute(config, cost).await;
            }
        }
    }
}

#[tokio::test]
async fn the_answer_to_head_is_as_long_as_the_one_to_get_would_be() {
    let (clock, _) = Clock::manual();
    let limiter = RateLimiter::new(bucket(1, 0.1), clock.now());
    let server = Server::start(RateLimitLayer::new(limiter).clock(clock)).await;
    assert_eq!(get(&server, "/").await.status(), StatusCode::OK);
    let head = client().head(server.url("/")).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::TOO_MANY_REQUESTS);
    let refused = get(&server, "/").await;
    assert_eq!(line(&head, "content-length"), line(&refused, "content-length"));
    let body = refused.bytes().await.unwrap();
    assert_eq!(line(&head, "content-length"), body.len().to_string());
    assert!(head.bytes().await.unwrap().is_empty() && !body.is_empty());
}

#[tokio::test]
async fn fields_are_on_every_answer_and_mean_what_they_say() {
    let policy = QuotaPolicy::new("tests").unwrap().window(Duration::from_secs(30));
    let layer = RateLimitLayer::new(limiter(3, 0.1)).policy(policy).exempt_path("/health");
    let server = Server::start(layer).await;
    let wall = Clock::system();
    for left in ["2", "1", "0"] {
        let before = wall.since_epoch().as_secs();
        let answer = get(&server, "/").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(line(&answer, "x-ratelimit-limit"), "3");
        assert_eq!(line(&answer, "x-ratelimit-remaining"), left);
        assert_eq!(line(&answer, "ratelimit-policy"), "\"tests\";q=3;w=30");
        assert!(line(&answer, "ratelimit").starts_with(&format!("\"tests\";r={left};t=")));
        let reset: u64 = line(&answer, "x-ratelimit-reset").parse().unwrap();
        assert!((before..before + 60).contains(&reset), "{reset}, asked at {before}");
        assert_eq!(line(&answer, "retry-after"), "");
    }
    let refused = get(&server, "/users/7").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(line(&refused, "content-type"), "application/problem+json");
    let after = line(&refused, "retry-after").to_owned();
    assert!((1..=10).contains(&after.parse().unwrap()), "{after}");
    assert_eq!(line(&refused, "ratelimit"), format!("\"tests\";r=0;t={after}"));
    let body = refused.text().await.unwrap();
    assert!(
        body.contains("\"status\":429") && body.contains(&format!("\"retry_after\":{after}")),
        "{body}"
    );

    let head = client().head(server.url("/")).send().await.unwrap();
    assert_eq!(
        (head.status(), line(&head, "retry-after").is_empty()),
        (StatusCode::TOO_MANY_REQUESTS, false)
    );
    let health = get(&server, "/health").await;
    assert_eq!((health.status(), line(&health, "ratelimit")), (StatusCode::OK, ""));
    assert_eq!(server.seen.admitted(), 4);
}

type Buckets = KeyedLimiter<KeyValue, TokenBucket>;

async fn keyed(key: Key) -> (Server, Arc<Buckets>) {
    let buckets = Buckets::new(bucket(1, 0.01), KeyedConfig::default(), Time::system().now());
    let buckets = Arc::new(buckets);
    let layer = RateLimitLayer::new(PerKey::new(Arc::clone(&buckets), key));
    (Server::start(layer.reset(ResetStyle::Delta)).await, buckets)
}

/// These keys, and no others, have taken what they may.
fn assert_spent(buckets: &Buckets, keys: &[KeyValue]) {
    assert_eq!(buckets.len(), keys.len());
    for key in keys {
        assert_eq!(buckets.remaining(key, Time::system().now()), 0, "{key:?}");
    }
}

#[tokio::test]
async fn the_route_is_the_key_and_paths_without_one_share_theirs() {
    let (server, buckets) = keyed(Key::path_template()).await;
    for i in 0..20 {
        let user = get(&server, &format!("/users/{i}")).await;
        assert_eq!(user.status().as_u16(), if i == 0 { 200 } else { 429 });
        let nowhere = get(&server, &format!("/nowhere/{i}")).await;
        assert_eq!(nowhere.status().as_u16(), if i == 0 { 404 } else { 429 });
    }
    assert_eq!(get(&server, "/").await.status(), StatusCode::OK);
    assert_spent(&buckets, &["(no route)", "/", "/users/{id}"].map(KeyValue::from));
}

#[tokio::test]
async fn the_peer_is_the_key_and_a_forwarded_address_only_from_a_proxy_of_ours() {
    let local = KeyValue::Address([127, 0, 0, 1].into());
    let asked = async |server: &Server, address: &str| {
        let request = client().get(server.url("/")).header("x-forwarded-for", address);
        request.send().await.unwrap().status().as_u16()
    };
    let (server, buckets) = keyed(Key::peer()).await;
    assert_eq!([asked(&server, "8.8.8.8").await, asked(&server, "9.9.9.9").await], [200, 429]);
    assert_spent(&buckets, std::slice::from_ref(&local));

    let (server, buckets) =
        keyed(Key::x_forwarded_for(Proxies::new(["10.0.0.0/8"]).unwrap())).await;
    assert_eq!([asked(&server, "8.8.8.8").await, asked(&server, "9.9.9.9").await], [200, 429]);
    assert_spent(&buckets, &[local]);

    let (server, buckets) =
        keyed(Key::x_forwarded_for(Proxies::new(["127.0.0.0/8"]).unwrap())).await;
    let [first, spoofed] =
        [asked(&server, "8.8.8.8").await, asked(&server, "1.1.1.1, 8.8.8.8").await];
    assert_eq!([first, spoofed, asked(&server, "9.9.9.9").await], [200, 429, 200]);
    assert_eq!(buckets.len(), 2);
}
