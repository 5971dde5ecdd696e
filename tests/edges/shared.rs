//! Limits that several servers keep to together: the policy file, the layer, the metrics, a reload.

use std::convert::Infallible;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use seawall::distributed::{self, SharedLimits};
use seawall::layer::{Key, RateLimitLayer, Shared, Unkeyed};
use seawall::policy::PolicyFile;
use seawall::prelude::*;
use seawall::runtime::LimitsError;
use tower::{Layer, ServiceExt, service_fn};

const POLICY: &str = r#"
    [limits.api.layers.all]
    fixed_window = { limit = 100, window = "1h" }

    [limits.api.layers.user]
    per = "subject"
    token_bucket = { capacity = 2, refill_per_second = 0.001 }
    tiers.premium = { token_bucket = { capacity = 5, refill_per_second = 0.001 } }
"#;

fn start(policy: &str) -> Seawall {
    Seawall::builder().policy_text("f", policy).start().unwrap()
}

async fn answer(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::empty()))
}

fn layer(limits: &SharedLimits, unkeyed: Unkeyed) -> RateLimitLayer<Shared> {
    let shared = Shared::new(limits.clone())
        .subject(Key::header("x-user".parse().unwrap()))
        .tier(|head| Some(head.headers.get("x-tier")?.to_str().ok()?.to_owned()))
        .unkeyed(unkeyed);
    RateLimitLayer::new(shared).exempt_path("/health")
}

async fn ask(
    layer: &RateLimitLayer<Shared>,
    path: &str,
    of: &[(&str, &str)],
) -> (StatusCode, String) {
    let request = of
        .iter()
        .fold(Request::builder().uri(path), |request, (name, value)| request.header(*name, *value));
    let request = request.body(Body::empty()).unwrap();
    let response = layer.layer(service_fn(answer)).oneshot(request).await.unwrap();
    let fields = response.headers().get("ratelimit").map(|it| it.to_str().unwrap().to_owned());
    (response.status(), fields.unwrap_or_default())
}

#[tokio::test]
async fn a_server_keeps_to_limits_that_others_share() {
    let seawall = start(POLICY);
    let limits = seawall.limits("api").await.unwrap();
    // Two servers, one set.
    let servers = [0; 2].map(|_| layer(&limits, Unkeyed::Shared));
    let ann = [("x-user", "ann")];
    for (server, left) in servers.iter().zip([1, 0]) {
        let (status, fields) = ask(server, "/", &ann).await;
        assert_eq!(status, StatusCode::OK);
        assert!(fields.starts_with(&format!("\"user\";r={left};t=")), "{fields}");
    }
    let (status, fields) = ask(&servers[0], "/", &ann).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert!(fields.starts_with("\"user\";r=0;t="), "{fields}");
    assert_eq!(ask(&servers[0], "/health", &ann).await, (StatusCode::OK, String::new()));
    let premium = [("x-user", "bob"), ("x-tier", "premium")];
    assert!(ask(&servers[1], "/", &premium).await.1.starts_with("\"user\";r=4;t="));
    // Those without a subject are one.
    let nobody = [];
    let statuses = [0; 3].map(|_| ask(&servers[0], "/", &nobody));
    let mut seen = Vec::new();
    for status in statuses {
        seen.push(status.await.0);
    }
    assert_eq!(seen, [StatusCode::OK, StatusCode::OK, StatusCode::TOO_MANY_REQUESTS]);
    let refuses = layer(&limits, Unkeyed::Refuse);
    assert_eq!(ask(&refuses, "/", &nobody).await.0, StatusCode::FORBIDDEN);
    let passes = layer(&limits, Unkeyed::Pass);
    assert_eq!(ask(&passes, "/", &nobody).await, (StatusCode::OK, String::new()));
}

#[tokio::test]
async fn they_follow_a_reload_and_are_in_the_metrics() {
    let seawall = start(POLICY);
    let limits = seawall.limits("api").await.unwrap();
    let of = distributed::Request::of("ann");
    for _ in 0..3 {
        limits.check(&of, 1).await;
    }
    assert!(!limits.check(&of, 1).await.decision.allowed);
    let more = POLICY.replace("capacity = 2", "capacity = 4");
    let reloaded = seawall.reload_from(PolicyFile::parse(&more, "f").unwrap());
    assert_eq!(reloaded.changed, ["limits.api"]);
    // The same set, by another name for it.
    let again = seawall.limits("api").await.unwrap();
    assert_eq!(again.check(&of, 1).await.decision.limit, 4);
    assert!(seawall.reload_from(PolicyFile::parse(&more, "f").unwrap()).changed.is_empty());
    let page = seawall.render_metrics();
    for line in [
        r#"seawall_limit_requests_total{limit="api",policy="user",decision="allowed"} 3"#,
        r#"seawall_limit_requests_total{limit="api",policy="user",decision="refused"} 2"#,
        r#"seawall_limit_undecided_total{limit="api"} 0"#,
        r#"seawall_limit_round_trips_total{limit="api"} 0"#,
        r#"seawall_limit_degraded_milliseconds_total{limit="api"} 0"#,
        r#"seawall_limit_leased{limit="api"} 0"#,
        r#"seawall_limit_instances{limit="api"} 1"#,
    ] {
        assert!(page.lines().any(|it| it == line), "{line}\n{page}");
    }
}

#[tokio::test]
async fn what_cannot_be_set_up_is_said() {
    let seawall = start(POLICY);
    let error = seawall.limits("apo").await.unwrap_err();
    assert_eq!(error.to_string(), "the policy file has no section [limits.apo]");
    let redis = POLICY.replace(
        "[limits.api.layers.all]",
        "[limits.api]\nstore = \"redis://:secret@host:0x\"\n[limits.api.layers.all]",
    );
    let error = start(&redis).limits("api").await.unwrap_err();
    assert!(matches!(error, LimitsError::NoRedis { .. } | LimitsError::Store { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
}
