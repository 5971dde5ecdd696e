//! Limits in layers and by tier, read by an independent client from a real server.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::measure;
use axum::http::Request;
use reqwest::{Response, StatusCode};
use seawall::Time;
use seawall::layer::{
    Answer, Head, Key, KeyValue, Layers, Limit, Peer, PerTier, QuotaPolicy, RateLimitLayer,
};
use seawall::limit::{Config, KeyedConfig, KeyedLimiter, Rate, TierConfig, Tiers, TiersConfig};

use super::server::{Server, bucket, client, limiter};

fn line<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

fn user() -> Key {
    Key::header("x-user".parse().unwrap())
}

fn named(user: &str) -> KeyValue {
    KeyValue::header(&"x-user".parse().unwrap(), user)
}

async fn ask(server: &Server, path: &str, user: &str) -> Response {
    client().get(server.url(path)).header("x-user", user).send().await.unwrap()
}

/// Asks until it is refused: how often it was not.
async fn until_refused(server: &Server, path: &str, user: &str) -> (u32, Response) {
    let mut passed = 0;
    loop {
        let answer = ask(server, path, user).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            return (passed, answer);
        }
        assert_eq!(answer.status(), StatusCode::OK);
        passed += 1;
    }
}

/// The guide's picture, slower, so that the real time of a test adds nothing.
#[tokio::test]
async fn global_then_per_user_then_per_endpoint() {
    let config = |capacity, per_second| Config::token_bucket(capacity, per_second).unwrap();
    let layers = Layers::builder(Time::system().now())
        .all("global", &config(10_000, 0.01))
        .each("user", user(), &config(15, 0.01))
        .each("endpoint", Key::path_template(), &config(10, 0.01))
        .build()
        .unwrap();
    let server = Server::start(RateLimitLayer::new(layers)).await;
    let all =
        "\"global\";q=10000;w=1000000, \"user\";q=15;w=1500, \"endpoint\";q=10;w=1000".to_owned();
    let first = ask(&server, "/users/1", "anna").await;
    assert_eq!((first.status(), line(&first, "ratelimit-policy")), (StatusCode::OK, &*all));
    assert!(line(&first, "ratelimit").starts_with("\"endpoint\";r=9;t="));
    assert_eq!(line(&first, "x-ratelimit-limit"), "10");

    // Whatever its id, it is one endpoint.
    let (passed, refused) = until_refused(&server, "/users/2", "anna").await;
    assert_eq!((passed, line(&refused, "ratelimit-policy")), (9, &*all));
    let after: u64 = line(&refused, "retry-after").parse().unwrap();
    assert!((90..=100).contains(&after), "{after}");
    assert_eq!(line(&refused, "ratelimit"), format!("\"endpoint\";r=0;t={after}"));
    assert_eq!(line(&refused, "x-ratelimit-limit"), "10");
    assert_eq!(line(&refused, "content-type"), "application/problem+json");
    let body = refused.text().await.unwrap();
    assert!(body.contains("\"violated-policies\":[\"endpoint\"]"), "{body}");
    assert!(body.contains("/http-problem-types#quota-exceeded\""), "{body}");

    // Five of Anna's fifteen are left, at another endpoint.
    let (passed, refused) = until_refused(&server, "/", "anna").await;
    assert_eq!(passed, 5);
    assert!(line(&refused, "ratelimit").starts_with("\"user\";r=0;t="));
    assert_eq!(line(&refused, "x-ratelimit-limit"), "15");
    // And five of that endpoint's ten, for somebody else.
    assert_eq!(until_refused(&server, "/", "bert").await.0, 5);
    assert_eq!(server.seen.admitted(), 20);
}

#[tokio::test]
async fn a_refusal_by_the_narrowest_layer_takes_nothing_from_the_wider_ones() {
    let now = Time::system().now();
    let global = Arc::new(limiter(1_000, 0.001));
    let users = KeyedLimiter::<KeyValue, _>::new(bucket(100, 0.001), KeyedConfig::default(), now);
    let users = Arc::new(users);
    let slow = |capacity| Config::token_bucket(capacity, 0.001).unwrap();
    let named = |name| QuotaPolicy::new(name).unwrap();
    let layers = Layers::builder(now)
        .layer(named("global"), Arc::clone(&global))
        .keyed(named("user"), Arc::clone(&users), user())
        .each("endpoint", Key::path_template(), &slow(3))
        .each("user at endpoint", user().and(Key::path_template()), &slow(2))
        .build()
        .unwrap();
    let server = Server::start(RateLimitLayer::new(layers)).await;
    let anna = self::named("anna");
    let left = || {
        let now = Time::system().now();
        (global.peek(now, 0).remaining, users.remaining(&anna, now))
    };
    let (passed, refused) = until_refused(&server, "/", "anna").await;
    assert_eq!((passed, left()), (2, (998, 98)));
    let body = refused.text().await.unwrap();
    assert!(body.contains("\"violated-policies\":[\"user at endpoint\"]"), "{body}");
    for _ in 0..30 {
        assert_eq!(until_refused(&server, "/", "anna").await.0, 0);
    }
    assert_eq!(left(), (998, 98));
    // The endpoint's third is still there, for somebody else.
    let (passed, refused) = until_refused(&server, "/", "bert").await;
    assert_eq!(passed, 1);
    assert!(line(&refused, "ratelimit").starts_with("\"endpoint\";r=0;"));
    assert_eq!(left(), (997, 98));
}

#[tokio::test]
async fn a_layered_refusals_retry_after_is_when_all_layers_pass() {
    let config = |capacity, per_second| Config::token_bucket(capacity, per_second).unwrap();
    let layers = Layers::builder(Time::system().now())
        .all("global", &config(1, 20.0))
        .each("user", user(), &config(1, 1.0))
        .build()
        .unwrap();
    let server = Server::start(RateLimitLayer::new(layers)).await;
    let (_, refused) = until_refused(&server, "/", "anna").await;
    assert_eq!(line(&refused, "retry-after"), "1");
    // The server is real, so is its time, and this wait is what is tested.
    Time::system().sleep(Duration::from_secs(1)).await;
    assert_eq!(ask(&server, "/", "anna").await.status(), StatusCode::OK);
}

fn rate(capacity: u64) -> Rate {
    Rate::new(capacity, 0.001).unwrap()
}

#[tokio::test]
async fn premium_and_free_users_under_one_cap() {
    let config = TiersConfig::builder(rate(24))
        .tier("free", rate(3))
        .tier("premium", TierConfig::new(rate(12)).weighing(4))
        .build();
    let tiers = Arc::new(Tiers::<KeyValue>::new(config.unwrap(), Time::system().now()));
    // What the application knows of its users, as a database would.
    let premium = Arc::new(std::sync::Mutex::new(vec![named("pia")]));
    let known = Arc::clone(&premium);
    let per_tier = PerTier::new(Arc::clone(&tiers), "all", user(), move |_, user| {
        if known.lock().unwrap().contains(user) { "premium".into() } else { "free".into() }
    });
    let server = Server::start(RateLimitLayer::new(per_tier.unwrap())).await;

    let free = ask(&server, "/", "anna").await;
    assert_eq!(line(&free, "ratelimit-policy"), "\"free\";q=3;w=3000, \"all\";q=24;w=24000");
    assert!(line(&free, "ratelimit").starts_with("\"free\";r=2;t="));
    let (passed, refused) = until_refused(&server, "/", "anna").await;
    assert_eq!((passed, line(&refused, "x-ratelimit-limit")), (2, "3"));
    assert!(line(&refused, "ratelimit").starts_with("\"free\";r=0;t="));
    let body = refused.text().await.unwrap();
    assert!(body.contains("\"violated-policies\":[\"free\"]"), "{body}");
    assert_eq!(tiers.cap_remaining(Time::system().now()), 21, "no refusal touched the cap");

    // A change of what the application knows counts from the next request on: with what it has left.
    assert_eq!(ask(&server, "/", "bert").await.status(), StatusCode::OK);
    premium.lock().unwrap().push(named("bert"));
    let now_premium = ask(&server, "/", "bert").await;
    assert!(line(&now_premium, "ratelimit").starts_with("\"premium\";r=1;t="));
    let policies = line(&now_premium, "ratelimit-policy");
    assert_eq!(policies, "\"premium\";q=12;w=12000, \"all\";q=24;w=24000");
    // So does a change of a tier's own limit.
    tiers.set_tier("free", rate(2)).unwrap();
    let other = ask(&server, "/", "carl").await;
    assert!(line(&other, "ratelimit-policy").starts_with("\"free\";q=2;w=2000, "));
    assert!(line(&other, "ratelimit").starts_with("\"free\";r=1;t="));

    // A premium burst passes while the cap has room; then the cap says no, by its own name.
    let (passed, _) = until_refused(&server, "/", "pia").await;
    assert!((6..=12).contains(&passed), "{passed}");
    let (mut passed, mut stranger) = (0, 0);
    let refused = loop {
        let answer = ask(&server, "/", &format!("stranger {stranger}")).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        (passed, stranger) = (passed + 1, stranger + 1);
        assert!(passed <= 24, "more than the cap");
    };
    assert!(line(&refused, "ratelimit").starts_with("\"all\";r=0;t="));
    assert_eq!(line(&refused, "x-ratelimit-limit"), "24");
    assert!(!line(&refused, "retry-after").is_empty());
    let body = refused.text().await.unwrap();
    assert!(body.contains("\"violated-policies\":[\"all\"]"), "{body}");
    assert!(server.seen.admitted() <= 24);
}

#[test]
fn a_decision_about_known_keys_allocates_nothing_but_the_texts_that_it_looks_up() {
    let now = Time::system().now();
    let config = |capacity| Config::token_bucket(capacity, 0.001).unwrap();
    let by_address = Layers::builder(now)
        .all("global", &config(1_000))
        .each("network", Key::peer().ipv4_prefix(24), &config(500))
        .each("address", Key::peer(), &config(5))
        .build()
        .unwrap();
    let by_user = Layers::builder(now).each("user", user(), &config(5)).build().unwrap();
    let tiers = TiersConfig::builder(rate(1_000)).tier("free", rate(5)).build().unwrap();
    let tiers = Tiers::<KeyValue>::new(tiers, now);
    let per_tier = PerTier::new(tiers, "all", Key::peer(), |_, _| "free".into()).unwrap();
    let mut request = Request::builder().header("x-user", "anna").body(()).unwrap();
    request.extensions_mut().insert(Peer(([192, 0, 2, 7], 4711).into()));
    let head = Head::from(&request);
    for (limit, texts) in [(&by_address as &dyn Limit, 0), (&by_user, 1), (&per_tier, 0)] {
        let ask = || match limit.check(&head, now, 1) {
            Answer::Among { decision, .. } => decision.allowed,
            other => unreachable!("{other:?}"),
        };
        assert!(ask());
        let cost = measure(|| {
            for nth in 1..100 {
                assert_eq!(ask(), nth < 5);
            }
        });
        assert_eq!(cost.count_total, 99 * texts, "{cost:?}");
    }
}
