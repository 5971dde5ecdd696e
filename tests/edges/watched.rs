//! Limits in front of a server, in metrics and events.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderName, Request, Response, StatusCode};
use seawall::clock::{Clock, Moment};
use seawall::layer::{Key, KeyValue, PerKey, PerTier, RateLimitLayer};
use seawall::limit::{
    KeyedConfig, KeyedLimiter, Rate, TierConfig, Tiers, TiersConfig, TokenBucket,
};
use seawall::prelude::*;
use seawall::{Event, Time};
use tower::{Layer, ServiceExt, service_fn};

async fn answer(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::empty()))
}

async fn ask<L>(layer: &RateLimitLayer<L>, user: &str) -> StatusCode
where
    L: seawall::layer::Limit,
{
    let request = Request::builder().header("x-user", user).body(Body::empty()).unwrap();
    layer.layer(service_fn(answer)).oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn what_a_limit_allows_and_refuses_is_in_the_metrics_and_its_refusals_are_events() {
    let time = Time::manual();
    let seawall = Seawall::builder().time(Time::from(time.clone())).start().unwrap();
    let mut events = seawall.events();
    let clock: Clock = Time::from(time.clone()).clock().clone();
    let limiters = KeyedLimiter::new(
        TokenBucket::new(&Rate::new(2, 1e-6).unwrap()),
        KeyedConfig::default(),
        Moment::ZERO,
    );
    let layer =
        RateLimitLayer::new(PerKey::new(limiters, Key::header(HeaderName::from_static("x-user"))))
            .clock(clock);
    seawall.watch_limit("edge", layer.clone());
    for user in ["ann", "ann", "ann", "bob"] {
        ask(&layer, user).await;
    }
    let page = seawall.render_metrics();
    for line in [
        r#"seawall_limit_requests_total{limit="edge",policy="default",decision="allowed"} 3"#,
        r#"seawall_limit_requests_total{limit="edge",policy="default",decision="refused"} 1"#,
        r#"seawall_limit_keys{limit="edge"} 2"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    let told = events.try_recv().unwrap().event;
    let expected = Event::LimitRefused {
        at: time.now(),
        limit: "edge".into(),
        policy: "default".into(),
        unreported: 0,
    };
    assert_eq!(told, expected);
}

#[tokio::test]
async fn tiers_are_counted_by_their_names() {
    let seawall = Seawall::builder().start().unwrap();
    let rate = |capacity| Rate::new(capacity, 1e-6).unwrap();
    let config = TiersConfig::builder(rate(1_000))
        .tier("free", TierConfig::new(rate(1)))
        .tier("pro", TierConfig::new(rate(5)))
        .build()
        .unwrap();
    let tiers: Arc<Tiers<KeyValue>> = Arc::new(Tiers::new(config, Moment::ZERO));
    let key = Key::header(HeaderName::from_static("x-user"));
    let limit = PerTier::new(tiers, "cap", key, |head, _| {
        let is_pro = head.headers.get("x-user").is_some_and(|user| user == "pro");
        Cow::Borrowed(if is_pro { "pro" } else { "free" })
    });
    let limit = limit.unwrap();
    let layer = RateLimitLayer::new(limit);
    seawall.watch_limit("api", layer.clone());
    for user in ["ann", "ann", "pro", "pro"] {
        ask(&layer, user).await;
    }
    let page = seawall.render_metrics();
    for line in [
        r#"{limit="api",policy="free",decision="allowed"} 1"#,
        r#"{limit="api",policy="free",decision="refused"} 1"#,
        r#"{limit="api",policy="pro",decision="allowed"} 2"#,
        r#"seawall_limit_keys{limit="api"} 2"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn what_a_queue_has_seen_is_in_the_metrics() {
    use seawall::queue::{BackpressureQueue, Strategy};

    let seawall = Seawall::builder().start().unwrap();
    let add = |waiting: &mut u32, newcomer| {
        *waiting += newcomer;
        Ok(())
    };
    let queue = BackpressureQueue::builder().capacity(4).strategy(Strategy::aggregate(add));
    let queue = queue.build().unwrap();
    seawall.watch_queue("sums", BackpressureQueue::<u32>::builder().build().unwrap());
    seawall.watch_queue("sums", queue.clone());
    for item in 0..5 {
        assert!(queue.put(item).await.unwrap().is_in());
    }
    assert_eq!(queue.get().await, Some(0));
    let page = seawall.render_metrics();
    for line in [
        r#"seawall_queue_items_total{queue="sums",end="received"} 5"#,
        r#"seawall_queue_items_total{queue="sums",end="processed"} 1"#,
        r#"seawall_queue_items_total{queue="sums",end="merged"} 1"#,
        r#"seawall_queue_items_total{queue="sums",end="dropped"} 0"#,
        r#"seawall_queue_depth{queue="sums"} 3"#,
        r#"seawall_queue_fill_ratio{queue="sums"} 0.75"#,
    ] {
        assert!(page.contains(line), "{line}\n{page}");
    }
    assert_eq!(page.matches("seawall_queue_depth{").count(), 1, "one of a name");
    seawall.shutdown(std::time::Duration::ZERO).await;
}
