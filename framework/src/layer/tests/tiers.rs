//! Limits by tier under one cap: what is told of them.

use std::borrow::Cow;

use super::*;
use crate::limit::{TierConfig, Tiers, TiersConfig};

fn rate(capacity: u64, per_second: f64) -> Rate {
    Rate::new(capacity, per_second).unwrap()
}

/// Set by the code that has authenticated the request.
#[derive(Clone)]
struct Account(&'static str);

fn by(user: &str, tier: &'static str) -> Request<()> {
    let mut request = Request::builder().uri("/").header("x-user", user).body(()).unwrap();
    request.extensions_mut().insert(Account(tier));
    request
}

fn user() -> Key {
    Key::header(http::HeaderName::from_static("x-user"))
}

fn account<'h>(head: &Head<'h>, _: &KeyValue) -> Cow<'h, str> {
    head.extensions.get::<Account>().map_or("", |account| account.0).into()
}

fn tiers(cap: Rate) -> Arc<Tiers<KeyValue>> {
    let config = TiersConfig::builder(cap)
        .tier("free", rate(3, 0.1))
        .tier("premium", TierConfig::new(rate(40, 10.0)).weighing(3))
        .build();
    Arc::new(Tiers::new(config.unwrap(), Moment::ZERO))
}

fn service(tiers: &Arc<Tiers<KeyValue>>, clock: Clock) -> RateLimited<PerTier, Inner> {
    let per_tier = PerTier::new(Arc::clone(tiers), "all", user(), account).unwrap();
    RateLimitLayer::new(per_tier).clock(clock).layer(Inner::default())
}

#[test]
fn each_user_has_his_tiers_limit_and_is_told_of_it_and_of_the_cap() {
    let (clock, crank) = clock();
    let tiers = tiers(rate(1_000, 100.0));
    let mut service = service(&tiers, clock);
    let first = ask(&mut service, by("anna", "free"));
    assert_eq!(line(&first, "ratelimit-policy"), ["\"free\";q=3;w=30, \"all\";q=1000;w=10"]);
    assert_eq!(line(&first, "ratelimit"), ["\"free\";r=2;t=10"]);
    let premium = ask(&mut service, by("bert", "premium"));
    assert_eq!(line(&premium, "ratelimit-policy"), ["\"premium\";q=40;w=4, \"all\";q=1000;w=10"]);
    assert_eq!(line(&premium, "x-ratelimit-remaining"), ["39"]);
    for _ in 0..2 {
        assert_eq!(ask(&mut service, by("anna", "free")).status(), StatusCode::OK);
    }
    let refused = ask(&mut service, by("anna", "free"));
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(line(&refused, "ratelimit"), ["\"free\";r=0;t=10"]);
    assert_eq!(line(&refused, "retry-after"), ["10"]);
    assert!(refused.body().contains("\"violated-policies\":[\"free\"]"), "{}", refused.body());
    assert_eq!(tiers.cap_remaining(Moment::ZERO), 1_000 - 4, "the refusal took nothing of it");
    let unknown = ask(&mut service, by("carl", "platinum"));
    assert_eq!(line(&unknown, "ratelimit"), ["\"free\";r=2;t=10"], "the default tier");
    crank.advance(Duration::from_secs(10));
    assert_eq!(ask(&mut service, by("anna", "free")).status(), StatusCode::OK, "it was honest");
}

#[test]
fn what_the_cap_refuses_goes_by_the_caps_name() {
    let (clock, crank) = clock();
    let tiers = tiers(rate(2, 0.5));
    let mut service = service(&tiers, clock);
    let mut answers = ["anna", "bert", "carl"].map(|user| ask(&mut service, by(user, "free")));
    let refused = &mut answers[2];
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(line(refused, "ratelimit")[0].starts_with("\"all\";r=0;t="));
    assert_eq!(line(refused, "x-ratelimit-limit"), ["2"]);
    assert!(refused.body().contains("\"violated-policies\":[\"all\"]"), "{}", refused.body());
    assert_eq!(tiers.remaining(&"carl".into(), "free", Moment::ZERO), 3, "nothing of its own");
    let after: u64 = line(refused, "retry-after")[0].parse().unwrap();
    crank.advance(Duration::from_secs(after));
    assert_eq!(ask(&mut service, by("carl", "free")).status(), StatusCode::OK, "it was honest");
}

#[test]
fn a_change_of_a_users_tier_or_of_a_tier_is_seen_by_the_next_request() {
    let (clock, _crank) = clock();
    let tiers = tiers(rate(1_000, 100.0));
    let mut service = service(&tiers, clock);
    let mut told = |tier| line(&ask(&mut service, by("anna", tier)), "ratelimit-policy").concat();
    let cap = ", \"all\";q=1000;w=10";
    assert_eq!(told("free"), format!("\"free\";q=3;w=30{cap}"));
    assert_eq!(told("premium"), format!("\"premium\";q=40;w=4{cap}"));
    tiers.set_tier("premium", rate(50, 5.0)).unwrap();
    assert_eq!(told("premium"), format!("\"premium\";q=50;w=10{cap}"));
    assert_eq!(told("free"), format!("\"free\";q=3;w=30{cap}"));
    tiers.set_tier("gold", rate(60, 5.0)).unwrap();
    assert_eq!(told("gold"), format!("\"gold\";q=60;w=12{cap}"));
    tiers.set_tier("g\u{f6}ld", rate(70, 5.0)).unwrap();
    assert_eq!(told("g\u{f6}ld"), format!("\"tier\";q=70;w=14{cap}"), "no field can have it");
    assert_eq!(told("premium"), format!("\"premium\";q=50;w=10{cap}"));
}

#[test]
fn requests_without_a_user_and_panics() {
    let (clock, _) = clock();
    let tiers = tiers(rate(10, 0.001));
    let made = |unkeyed| {
        let per_tier = PerTier::new(Arc::clone(&tiers), "all", user(), |head, user| {
            assert_ne!(head.uri.path(), "/bad", "the function panics");
            if *user == KeyValue::Shared { "free".into() } else { "premium".into() }
        });
        let layer = RateLimitLayer::new(per_tier.unwrap().unkeyed(unkeyed)).clock(clock.clone());
        layer.layer(Inner::default())
    };
    let answer = ask(&mut made(Unkeyed::Shared), get("/"));
    assert!(line(&answer, "ratelimit-policy")[0].starts_with("\"free\""));
    assert_eq!(ask(&mut made(Unkeyed::Refuse), get("/")).status(), StatusCode::FORBIDDEN);
    assert!(ask(&mut made(Unkeyed::Pass), get("/")).headers().is_empty());
    let bad = AssertUnwindSafe(|| ask(&mut made(Unkeyed::Shared), get("/bad")));
    assert!(catch_unwind(bad).is_err());
    assert_eq!(tiers.cap_remaining(Moment::ZERO), 9);
}

#[test]
fn names_that_no_field_can_have_are_mistakes() {
    let config = TiersConfig::builder(rate(10, 1.0))
        .tier("g\u{f6}ld", rate(1, 1.0))
        .tier("all", rate(1, 1.0))
        .build();
    let tiers: Tiers<KeyValue> = Tiers::new(config.unwrap(), Moment::ZERO);
    let wrong = PerTier::new(tiers, "all", user(), account).unwrap_err();
    let keys: Vec<_> = wrong.as_slice().iter().map(|mistake| mistake.key).collect();
    assert_eq!(keys, ["policy name", "cap"]);
}
