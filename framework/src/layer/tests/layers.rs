//! Limits in layers: what they take, and what is told of them.

use super::*;
use crate::limit::{Config, KeyedConfig, KeyedLimiter};

fn header(name: &'static str) -> Key {
    Key::header(http::HeaderName::from_static(name))
}

fn path() -> Key {
    Key::function(|head| Some(head.uri.path().into()))
}

fn rate(capacity: u64, per_second: f64) -> Config {
    Config::token_bucket(capacity, per_second).unwrap()
}

fn by(user: &str, path: &str) -> Request<()> {
    let request = Request::builder().uri(path).header("x-user", user);
    request.body(()).unwrap()
}

/// The usual picture: 10,000 a second in all, 100 a minute a user, 10 a second an endpoint.
fn picture() -> LayersBuilder {
    Layers::builder(Moment::ZERO)
        .all("global", &rate(10_000, 10_000.0))
        .each("user", header("x-user"), &rate(100, 100.0 / 60.0))
        .each("endpoint", path(), &rate(10, 10.0))
}

const ALL: &str = "\"global\";q=10000;w=1, \"user\";q=100;w=60, \"endpoint\";q=10;w=1";

#[test]
fn every_answer_lists_all_policies_and_speaks_of_the_tightest_or_of_who_refused() {
    let (clock, crank) = clock();
    let inner = Inner::default();
    let mut service =
        RateLimitLayer::new(picture().build().unwrap()).clock(clock).layer(inner.clone());
    let first = ask(&mut service, by("anna", "/search"));
    assert_eq!(line(&first, "ratelimit-policy"), [ALL]);
    assert_eq!(line(&first, "ratelimit"), ["\"endpoint\";r=9;t=1"]);
    assert_eq!(line(&first, "x-ratelimit-limit"), ["10"]);
    assert_eq!(line(&first, "x-ratelimit-remaining"), ["9"]);
    for _ in 0..9 {
        assert_eq!(ask(&mut service, by("anna", "/search")).status(), StatusCode::OK);
    }
    let refused = ask(&mut service, by("anna", "/search"));
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(line(&refused, "ratelimit-policy"), [ALL]);
    assert_eq!(line(&refused, "ratelimit"), ["\"endpoint\";r=0;t=1"]);
    assert_eq!(line(&refused, "retry-after"), ["1"]);
    assert!(refused.body().contains("\"violated-policies\":[\"endpoint\"]"), "{}", refused.body());
    assert_eq!(inner.calls(), 10);

    // 90 are left of Anna's: nine other endpoints' worth, and then it is she who has had enough.
    for other in 0..9 {
        for _ in 0..10 {
            let answer = ask(&mut service, by("anna", &format!("/{other}")));
            assert_eq!(answer.status(), StatusCode::OK, "the refusal took nothing of hers");
        }
    }
    let refused = ask(&mut service, by("anna", "/other"));
    assert_eq!(line(&refused, "ratelimit"), ["\"user\";r=0;t=1"]);
    assert_eq!(line(&refused, "x-ratelimit-limit"), ["100"]);
    assert!(refused.body().contains("\"violated-policies\":[\"user\"]"));
    assert_eq!(ask(&mut service, by("bert", "/other")).status(), StatusCode::OK);
    crank.advance(Duration::from_secs(1));
    assert_eq!(ask(&mut service, by("anna", "/other")).status(), StatusCode::OK, "it was honest");
}

#[test]
fn a_refusal_takes_nothing_from_any_layer() {
    let (clock, _crank) = clock();
    let now = Moment::ZERO;
    let global = Arc::new(limiter(1_000, 1.0));
    let users =
        Arc::new(KeyedLimiter::<KeyValue, _>::new(bucket(100, 1.0), KeyedConfig::default(), now));
    let named = |name| QuotaPolicy::new(name).unwrap();
    let layers = Layers::builder(now)
        .layer(named("global"), Arc::clone(&global))
        .keyed(named("user"), Arc::clone(&users), header("x-user"))
        .each("endpoint", path(), &rate(2, 0.001))
        .each("both", header("x-user").and(path()), &rate(1, 0.001))
        .build()
        .unwrap();
    let mut service = RateLimitLayer::new(layers).clock(clock).layer(Inner::default());
    let statuses: Vec<_> = (0..50).map(|_| ask(&mut service, by("anna", "/a")).status()).collect();
    assert_eq!(statuses.iter().filter(|status| status.is_success()).count(), 1);
    let anna = KeyValue::header(&http::HeaderName::from_static("x-user"), "anna");
    assert_eq!((global.peek(now, 0).remaining, users.remaining(&anna, now)), (999, 99));
    // Bert may still have its one: Anna's refusals took nothing from the endpoint either.
    assert_eq!(ask(&mut service, by("bert", "/a")).status(), StatusCode::OK);
    let refused = ask(&mut service, by("bert", "/a"));
    assert!(
        refused.body().contains("\"violated-policies\":[\"endpoint\",\"both\"]"),
        "all that refuse are named: {}",
        refused.body()
    );
    assert_eq!(line(&refused, "ratelimit"), ["\"endpoint\";r=0;t=1000"]);
    assert_eq!(global.peek(now, 0).remaining, 998);
}

#[test]
fn retry_after_is_when_all_layers_would_pass() {
    let (clock, crank) = clock();
    let layers = Layers::builder(Moment::ZERO)
        .all("global", &rate(1, 0.5))
        .each("user", header("x-user"), &rate(1, 0.1))
        .build()
        .unwrap();
    let mut service = RateLimitLayer::new(layers).clock(clock).layer(Inner::default());
    ask(&mut service, by("anna", "/"));
    let refused = ask(&mut service, by("anna", "/"));
    assert_eq!(line(&refused, "ratelimit"), ["\"global\";r=0;t=10"]);
    assert_eq!(line(&refused, "retry-after"), ["10"]);
    crank.advance(Duration::from_millis(9_999));
    assert_eq!(ask(&mut service, by("anna", "/")).status(), StatusCode::TOO_MANY_REQUESTS);
    crank.advance(Duration::from_millis(1));
    assert_eq!(ask(&mut service, by("anna", "/")).status(), StatusCode::OK);
}

#[test]
fn what_costs_more_than_a_layer_ever_holds_is_told_no_time() {
    let (clock, _) = clock();
    let layer = RateLimitLayer::new(picture().build().unwrap()).clock(clock).cost(|_| 11);
    let refused = ask(&mut layer.layer(Inner::default()), by("anna", "/"));
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(line(&refused, "retry-after").is_empty());
    assert_eq!(line(&refused, "x-ratelimit-remaining"), ["10"]);
    assert!(refused.body().contains("\"violated-policies\":[\"endpoint\"]"));
}

#[test]
fn each_layer_says_what_becomes_of_requests_without_its_key() {
    let answers = |unkeyed| {
        let (clock, _) = clock();
        let layers = Layers::builder(Moment::ZERO)
            .each("user", header("x-user"), &rate(1, 0.001))
            .unkeyed(unkeyed)
            .each("endpoint", path(), &rate(2, 0.001))
            .build()
            .unwrap();
        let mut service = RateLimitLayer::new(layers).clock(clock).layer(Inner::default());
        [(); 3].map(|()| {
            let answer = ask(&mut service, get("/"));
            let standing = line(&answer, "ratelimit").concat();
            (answer.status().as_u16(), standing.split(';').next().unwrap_or_default().to_owned())
        })
    };
    let told = |status, of: &str| (status, of.to_owned());
    let shared = [(200, "\"user\""), (429, "\"user\""), (429, "\"user\"")];
    assert_eq!(answers(Unkeyed::Shared), shared.map(|(status, of)| told(status, of)));
    let passed = [(200, "\"endpoint\""), (200, "\"endpoint\""), (429, "\"endpoint\"")];
    assert_eq!(answers(Unkeyed::Pass), passed.map(|(status, of)| told(status, of)));
    assert_eq!(answers(Unkeyed::Refuse), [403; 3].map(|status| told(status, "")));
}

#[test]
fn a_request_that_no_layer_counts_is_not_limited_and_not_stamped() {
    let (clock, _) = clock();
    let layers = Layers::builder(Moment::ZERO).each("user", header("x-user"), &rate(1, 0.001));
    let layers = layers.unkeyed(Unkeyed::Pass).build().unwrap();
    let mut service = RateLimitLayer::new(layers).clock(clock).layer(Inner::default());
    for _ in 0..3 {
        let answer = ask(&mut service, get("/"));
        assert_eq!((answer.status(), answer.headers().len()), (StatusCode::OK, 0));
    }
}

#[test]
fn a_panic_in_a_keys_function_or_a_refusal_for_want_of_a_key_takes_nothing() {
    let (clock, _) = clock();
    let global = Arc::new(limiter(10, 0.001));
    let bad = Key::function(|head| match head.uri.path() {
        "/bad" => panic!("the key's function panics"),
        "/nobody" => None,
        path => Some(path.into()),
    });
    let layers = Layers::builder(Moment::ZERO)
        .layer(QuotaPolicy::default(), Arc::clone(&global))
        .each("user", header("x-user"), &rate(1, 0.001))
        .each("path", bad, &rate(10, 1.0))
        .unkeyed(Unkeyed::Refuse)
        .build()
        .unwrap();
    let mut service = RateLimitLayer::new(layers).clock(clock).layer(Inner::default());
    for _ in 0..3 {
        let bad = AssertUnwindSafe(|| ask(&mut service, by("anna", "/bad")));
        assert!(catch_unwind(bad).is_err());
        assert_eq!(ask(&mut service, by("anna", "/nobody")).status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(global.peek(Moment::ZERO, 0).remaining, 10);
    assert_eq!(ask(&mut service, by("anna", "/good")).status(), StatusCode::OK);
}

#[test]
fn mistakes_in_layers_are_told_all_at_once() {
    let keys = |builder: LayersBuilder| -> Vec<_> {
        builder.build().unwrap_err().into_iter().map(|mistake| mistake.key).collect()
    };
    assert_eq!(keys(Layers::builder(Moment::ZERO)), ["layers"]);
    let one = rate(1, 1.0);
    let twice = Layers::builder(Moment::ZERO).unkeyed(Unkeyed::Pass).all("a", &one);
    let twice = twice.unkeyed(Unkeyed::Pass).all("a", &one).all("\u{fc}", &one);
    assert_eq!(keys(twice), ["unkeyed", "unkeyed", "policy name", "layers"]);
    let many = (0..17).fold(Layers::builder(Moment::ZERO), |builder, at| {
        builder.each(format!("{at}"), header("x-user"), &one)
    });
    assert_eq!(keys(many), ["layers"]);
    let names: Vec<_> = (0..16).map(|at| format!("{at}")).collect();
    let most = names.iter().fold(Layers::builder(Moment::ZERO), |builder, name| {
        builder.each(name.as_str(), header("x-user"), &one)
    });
    let most = most.build().unwrap();
    assert_eq!(most.policies().iter().map(QuotaPolicy::name).collect::<Vec<_>>(), names);
    assert!(format!("{most:?}").contains("header(x-user)"));
}
