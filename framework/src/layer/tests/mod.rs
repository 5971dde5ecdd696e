use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{Pending, Ready, pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode};
use tower_layer::Layer;
use tower_service::Service;

use super::*;
use crate::clock::{Clock, ManualClock, Moment};
use crate::error::{DependencyName, Fault, RejectedBy};
use crate::limit::headers::{Report, ResetReading};
use crate::limit::{Config, Decision, KeyedConfig, KeyedLimiter, Rate, RateLimiter, TokenBucket};

mod counting;
mod keys;
mod layers;
mod tiers;

const EPOCH: Duration = Duration::from_secs(1_700_000_000);

fn bucket(capacity: u64, refill_per_second: f64) -> TokenBucket {
    TokenBucket::new(&Rate::new(capacity, refill_per_second).unwrap())
}

fn limiter(capacity: u64, refill_per_second: f64) -> RateLimiter<TokenBucket> {
    RateLimiter::new(bucket(capacity, refill_per_second), Moment::ZERO)
}

fn clock() -> (Clock, ManualClock) {
    let (clock, crank) = Clock::manual();
    crank.set_epoch(EPOCH);
    (clock, crank)
}

/// Answers what it is told to, and counts how often it is asked.
#[derive(Clone, Default)]
struct Inner {
    headers: HeaderMap,
    calls: Arc<AtomicUsize>,
    busy: bool,
}

impl Inner {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Service<Request<()>> for Inner {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.busy { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let mut response = Response::new("inner".to_owned());
        response.headers_mut().clone_from(&self.headers);
        ready(Ok(response))
    }
}

fn get(path: &str) -> Request<()> {
    Request::builder().uri(path).body(()).unwrap()
}

/// A body that a test can read.
trait Text {
    fn text(self) -> String;
}

impl Text for String {
    fn text(self) -> String {
        self
    }
}

impl<B: Text> Text for ResponseBody<B> {
    fn text(self) -> String {
        self.into_inner().map_or_else(|bytes| String::from_utf8(bytes.into()).unwrap(), B::text)
    }
}

fn ask<S, B: Text>(service: &mut S, request: Request<()>) -> Response<String>
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    match pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response.map(Text::text),
        Poll::Pending => panic!("should answer, but pends"),
    }
}

fn line<'a>(response: &'a Response<String>, name: &str) -> Vec<&'a str> {
    response.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

#[test]
fn every_answer_has_its_fields_and_a_refusal_says_when_to_come_back() {
    let (clock, crank) = clock();
    let inner = Inner::default();
    let policy = QuotaPolicy::new("api").unwrap().window(Duration::from_secs(20));
    let layer = RateLimitLayer::new(limiter(2, 0.1)).policy(policy).clock(clock);
    let mut service = layer.layer(inner.clone());
    let first = ask(&mut service, get("/"));
    assert_eq!((first.status(), first.body().as_str()), (StatusCode::OK, "inner"));
    assert_eq!(line(&first, "x-ratelimit-limit"), ["2"]);
    assert_eq!(line(&first, "x-ratelimit-remaining"), ["1"]);
    assert_eq!(line(&first, "x-ratelimit-reset"), ["1700000010"]);
    assert_eq!(line(&first, "ratelimit-policy"), ["\"api\";q=2;w=20"]);
    assert_eq!(line(&first, "ratelimit"), ["\"api\";r=1;t=10"]);
    assert!(line(&first, "retry-after").is_empty());

    ask(&mut service, get("/"));
    crank.advance(Duration::from_millis(2500));
    let refused = ask(&mut service, get("/?secret=1"));
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(line(&refused, "retry-after"), ["8"]);
    assert_eq!(line(&refused, "x-ratelimit-remaining"), ["0"]);
    assert_eq!(line(&refused, "x-ratelimit-reset"), ["1700000011"]);
    assert_eq!(line(&refused, "ratelimit"), ["\"api\";r=0;t=8"]);
    assert_eq!(line(&refused, "content-type"), ["application/problem+json"]);
    assert_eq!(
        refused.body(),
        "{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\
         \"title\":\"Request cannot be satisfied as assigned quota has been exceeded\",\
         \"status\":429,\
         \"detail\":\"Too many requests; the same request can be repeated after retry_after seconds.\",\
         \"retry_after\":8,\"violated-policies\":[\"api\"]}"
    );
    assert_eq!(inner.calls(), 2, "the inner service is not called for a refusal");

    crank.advance(Duration::from_secs(8));
    assert_eq!(ask(&mut service, get("/")).status(), StatusCode::OK, "Retry-After was honest");
}

#[test]
fn each_family_of_fields_can_be_left_out_and_the_reset_can_be_a_delay() {
    let (clock, _crank) = clock();
    let layer = RateLimitLayer::new(limiter(5, 1.0)).clock(clock).reset(ResetStyle::Delta);
    let answer = ask(&mut layer.clone().ietf_fields(false).layer(Inner::default()), get("/"));
    assert_eq!(line(&answer, "x-ratelimit-reset"), ["1"]);
    assert!(line(&answer, "ratelimit").is_empty() && line(&answer, "ratelimit-policy").is_empty());
    let answer = ask(&mut layer.x_fields(false).layer(Inner::default()), get("/"));
    assert_eq!(
        line(&answer, "ratelimit"),
        ["\"default\";r=3;t=2"],
        "settings differ, the limit is shared"
    );
    assert!(line(&answer, "x-ratelimit-limit").is_empty());
}

#[test]
fn of_two_limits_both_are_listed_and_the_tighter_one_has_the_single_fields() {
    let nested = |outer, inner: u64| {
        let (clock, _) = clock();
        let named = |capacity, name| {
            let policy = QuotaPolicy::new(name).unwrap();
            RateLimitLayer::new(limiter(capacity, 1.0)).policy(policy).clock(clock.clone())
        };
        ask(
            &mut named(outer, "outer").layer(named(inner, "inner").layer(Inner::default())),
            get("/"),
        )
    };
    for (outer, inner, tighter) in [(100, 3, "3"), (3, 100, "3")] {
        let answer = nested(outer, inner);
        assert_eq!(line(&answer, "x-ratelimit-limit"), [tighter]);
        assert_eq!(line(&answer, "x-ratelimit-remaining"), ["2"]);
        assert_eq!(line(&answer, "ratelimit").len(), 2);
        let report = Report::from_headers(answer.headers(), ResetReading::Guess, EPOCH);
        assert_eq!((report.limit, report.remaining), (Some(3), Some(2)));
    }
}

#[test]
fn a_retry_after_of_the_inner_service_and_its_useless_fields() {
    let mut inner = Inner::default();
    inner.headers.insert("retry-after", "120".parse().unwrap());
    inner.headers.insert("x-ratelimit-remaining", "plenty".parse().unwrap());
    let (clock, _) = clock();
    let answer = ask(&mut RateLimitLayer::new(limiter(9, 1.0)).clock(clock).layer(inner), get("/"));
    assert_eq!(line(&answer, "retry-after"), ["120"]);
    assert_eq!(line(&answer, "x-ratelimit-remaining"), ["8"]);
}

#[test]
fn exempt_paths_pass_uncounted_and_tricks_do_not_make_a_path_exempt() {
    let (clock, _) = clock();
    let inner = Inner::default();
    let layer = RateLimitLayer::new(limiter(1, 0.001)).clock(clock).exempt_path("/health");
    let layer = layer.exempt_prefix("/static/").exempt(|head| head.method == Method::OPTIONS);
    let mut service = layer.layer(inner);
    ask(&mut service, get("/"));
    let preflight = Request::builder().method("OPTIONS").uri("/x").body(()).unwrap();
    for exempt in
        [get("/health"), get("/health?x=1"), get("/static"), get("/static/a/b.js"), preflight]
    {
        let answer = ask(&mut service, exempt);
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.headers().is_empty());
    }
    for limited in [
        "/healthy",
        "/health/",
        "/HEALTH",
        "/statics",
        "/static/../admin",
        "/static/%2e%2E/admin",
        "/x?/health",
    ] {
        let status = ask(&mut service, get(limited)).status();
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{limited}");
    }
}

#[test]
fn a_request_that_costs_more_than_there_ever_is_is_told_no_time() {
    let (clock, _) = clock();
    let weigh = |head: &Head<'_>| if head.method == Method::POST { 50 } else { 0 };
    let mut service =
        RateLimitLayer::new(limiter(10, 1.0)).clock(clock).cost(weigh).layer(Inner::default());
    let post = Request::builder().method("POST").uri("/").body(()).unwrap();
    let answer = ask(&mut service, post);
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(line(&answer, "retry-after").is_empty());
    assert!(!answer.body().contains("retry_after\":"));
    assert_eq!(line(&answer, "x-ratelimit-remaining"), ["10"]);
    for _ in 0..100 {
        assert_eq!(ask(&mut service, get("/")).status(), StatusCode::OK, "costs nothing");
    }
}

#[test]
fn a_refused_head_has_the_fields_and_no_body() {
    let (clock, _) = clock();
    let mut service = RateLimitLayer::new(limiter(1, 1.0)).clock(clock).layer(Inner::default());
    let head = || Request::builder().method("HEAD").uri("/").body(()).unwrap();
    assert_eq!(ask(&mut service, head()).status(), StatusCode::OK);
    let refused = ask(&mut service, head());
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((refused.body().as_str(), line(&refused, "retry-after")), ("", vec!["1"]));
    let length = ask(&mut service, get("/")).body().len().to_string();
    assert_eq!(line(&refused, "content-length"), [length], "as long as the answer to GET");
}

#[test]
fn readiness_is_the_inner_services() {
    let (clock, _) = clock();
    let layer = RateLimitLayer::new(limiter(1, 1.0)).clock(clock);
    let mut context = Context::from_waker(Waker::noop());
    assert!(layer.layer(Inner::default()).poll_ready(&mut context).is_ready());
    let busy = Inner { busy: true, ..Inner::default() };
    assert!(layer.layer(busy).poll_ready(&mut context).is_pending());
}

#[test]
fn a_dropped_answer_gives_nothing_back() {
    #[derive(Clone)]
    struct Hangs;
    impl Service<Request<()>> for Hangs {
        type Response = Response<String>;
        type Error = Infallible;
        type Future = Pending<Result<Response<String>, Infallible>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: Request<()>) -> Self::Future {
            pending()
        }
    }
    let (clock, crank) = clock();
    let mut service = RateLimitLayer::new(limiter(1, 1.0)).clock(clock).layer(Hangs);
    assert!(
        pin!(service.call(get("/"))).poll(&mut Context::from_waker(Waker::noop())).is_pending()
    );
    assert!(pin!(service.call(get("/"))).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    crank.advance(Duration::from_secs(1));
    drop(service.call(get("/")));
    assert!(pin!(service.call(get("/"))).poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

/// What the keyed limiter is, in miniature.
#[derive(Default)]
struct Buckets(Mutex<HashMap<KeyValue, RateLimiter<TokenBucket>>>);

impl KeyedCheck<KeyValue> for Buckets {
    fn check_key(&self, key: &KeyValue, now: Moment, cost: u64) -> Decision {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key.clone()).or_insert_with(|| limiter(1, 0.001));
        bucket.check(now, cost)
    }
}

impl Buckets {
    fn keys(&self) -> Vec<KeyValue> {
        let buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<_> = buckets.keys().cloned().collect();
        keys.sort();
        keys
    }
}

#[test]
fn a_panic_in_a_keys_function_goes_to_the_caller_and_stops_nobody_else() {
    let (clock, _) = clock();
    let key = Key::function(|head| match head.uri.path() {
        "/bad" => panic!("the key's function panics"),
        path => Some(path.into()),
    });
    let buckets = Arc::new(Buckets::default());
    let layer = RateLimitLayer::new(PerKey::new(Arc::clone(&buckets), key)).clock(clock);
    let inner = Inner::default();
    let mut service = layer.layer(inner.clone());
    for _ in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| ask(&mut service, get("/bad")))).is_err());
    }
    assert_eq!(ask(&mut service, get("/a")).status(), StatusCode::OK);
    assert_eq!(ask(&mut service, get("/b")).status(), StatusCode::OK);
    assert_eq!(ask(&mut service, get("/a")).status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((buckets.keys().len(), inner.calls()), (2, 2));
}

#[test]
fn requests_without_a_key_share_one_or_are_refused_or_pass() {
    let statuses = |unkeyed| {
        let (clock, _) = clock();
        let per_key = PerKey::new(Buckets::default(), Key::peer()).unkeyed(unkeyed);
        let mut service = RateLimitLayer::new(per_key).clock(clock).layer(Inner::default());
        [(); 2].map(|()| {
            let answer = ask(&mut service, get("/"));
            (answer.status().as_u16(), answer.headers().contains_key("ratelimit"))
        })
    };
    assert_eq!(statuses(Unkeyed::default()), [(200, true), (429, true)]);
    assert_eq!(statuses(Unkeyed::Refuse), [(403, false), (403, false)]);
    assert_eq!(statuses(Unkeyed::Pass), [(200, false), (200, false)]);
}

#[test]
fn a_fault_becomes_an_answer_that_names_neither_dependency_nor_cause() {
    let rejected = |by| Fault::Rejected {
        dependency: "ledger-db-3".into(),
        by,
        retry_after: Some(Duration::from_millis(1500)),
        earlier: None,
    };
    let after = Duration::from_secs(1);
    let timed_out = Fault::TimedOut { dependency: "ledger-db-3".into(), after };
    let late = Fault::DeadlineExceeded { dependency: "ledger-db-3".into(), after };
    let mut cases = vec![(timed_out, 504, None), (late, 504, None)];
    for by in RejectedBy::EVERY {
        // The rate limiter's too: 429 would tell a client that it has sent too much.
        cases.push((rejected(by), 503, Some(2)));
    }
    for (fault, status, retry_after) in cases {
        let problem = Problem::of(&fault);
        assert_eq!((problem.status().as_u16(), problem.retry_after()), (status, retry_after));
        let response: Response<String> = problem.response(&Method::GET);
        let told: Vec<_> = retry_after.iter().map(|after: &u64| after.to_string()).collect();
        assert_eq!(line(&response, "retry-after"), told);
        assert!(!response.body().contains("ledger"), "{}", response.body());
        let reduced = response.body().contains("#temporary-reduced-capacity\"");
        assert_eq!(reduced, status == 503, "{}", response.body());
        assert!(response.body().contains(&format!("\"status\":{status}")));
    }
}

#[cfg(feature = "axum")]
#[test]
fn faults_are_axum_answers() {
    use axum::response::IntoResponse;

    use crate::error::CallError;

    let fault = || Fault::Rejected {
        dependency: "ledger".into(),
        by: RejectedBy::Breaker,
        retry_after: Some(Duration::from_secs(7)),
        earlier: None,
    };
    for answer in [fault().into_response(), CallError::<String>::Fault(fault()).into_response()] {
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["retry-after"], "7");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    let own = CallError::Inner((StatusCode::IM_A_TEAPOT, "short and stout")).into_response();
    assert_eq!(own.status(), StatusCode::IM_A_TEAPOT);
}

fn grpc(content_type: &'static str) -> Request<()> {
    let mut request = get("/package.Service/Method");
    request.headers_mut().insert("content-type", content_type.parse().unwrap());
    request
}

#[test]
fn a_grpc_request_is_refused_in_grpc() {
    let (clock, _crank) = clock();
    let mut service = RateLimitLayer::new(limiter(1, 0.1)).clock(clock).layer(Inner::default());
    assert_eq!(ask(&mut service, grpc("application/grpc+proto")).body(), "inner");
    for (asked, answered) in [
        ("application/grpc", "application/grpc"),
        ("application/grpc+proto", "application/grpc"),
        ("application/grpc-web+proto", "application/grpc-web+proto"),
    ] {
        let refused = ask(&mut service, grpc(asked));
        assert_eq!((refused.status(), refused.body().as_str()), (StatusCode::OK, ""));
        assert_eq!(line(&refused, "content-type"), [answered]);
        assert_eq!(line(&refused, "grpc-status"), ["8"]);
        assert_eq!(line(&refused, "grpc-retry-pushback-ms"), ["10000"]);
        assert_eq!(line(&refused, "retry-after"), ["10"]);
        assert_eq!(line(&refused, "ratelimit"), ["\"default\";r=0;t=10"]);
    }
    assert_eq!(ask(&mut service, get("/")).status(), StatusCode::TOO_MANY_REQUESTS);
    let fault = |fault: &Fault| {
        let response: Response<String> = Problem::of(fault).grpc_response(false);
        line(&response, "grpc-status").concat()
    };
    let dependency: DependencyName = "payments".into();
    let after = Duration::from_secs(1);
    assert_eq!(fault(&Fault::TimedOut { dependency: dependency.clone(), after }), "4");
    let by = RejectedBy::Breaker;
    assert_eq!(fault(&Fault::Rejected { dependency, by, retry_after: None, earlier: None }), "14");
    let forbidden: Response<String> = Problem::unidentified().grpc_response(false);
    assert_eq!(line(&forbidden, "grpc-status"), ["7"]);
    assert_eq!(line(&forbidden, "grpc-retry-pushback-ms"), ["-1"], "do not retry");
}

#[test]
fn another_responder_makes_the_answer_and_it_still_gets_the_fields() {
    let (clock, _crank) = clock();
    let teapot = |head: &Head<'_>, problem: &Problem| {
        let text = format!("{} {}", head.uri.path(), problem.status().as_u16());
        Response::builder().status(StatusCode::IM_A_TEAPOT).body(text.into()).unwrap()
    };
    let layer = RateLimitLayer::new(limiter(1, 0.1)).clock(clock).responder(teapot);
    let mut service = layer.layer(Inner::default());
    ask(&mut service, get("/"));
    let refused = ask(&mut service, get("/tea"));
    assert_eq!((refused.status(), refused.body().as_str()), (StatusCode::IM_A_TEAPOT, "/tea 429"));
    assert_eq!(line(&refused, "x-ratelimit-remaining"), ["0"]);
}

#[test]
fn a_refusals_body_is_one_frame_of_known_length_and_then_ends() {
    use http_body::Body as _;

    let body = ResponseBody::<String>::refusal("slow down".into());
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(9), false));
    let mut body = pin!(body);
    let mut cx = Context::from_waker(Waker::noop());
    let frame = body.as_mut().poll_frame(&mut cx);
    assert!(
        matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_some_and(|data| data == "slow down"))
    );
    assert!(body.is_end_stream() && matches!(body.poll_frame(&mut cx), Poll::Ready(None)));
    let empty = ResponseBody::<String>::refusal(Default::default());
    assert_eq!((empty.size_hint().exact(), empty.is_end_stream()), (Some(0), true));
    let inner = ResponseBody::inner("inner".to_owned());
    assert_eq!((inner.size_hint().exact(), inner.is_end_stream()), (Some(5), false));
}
