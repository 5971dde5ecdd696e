//! A protected server: what it lets in, in which order, and what the others are told.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::routing::get;
use http::StatusCode;
use http_body_util::BodyExt;
use seawall::layer::{DeadlineLayer, ProtectLayer};
use seawall::{Policy, Priority, RejectedBy, Seawall, Snapshot};
use tokio::sync::{Semaphore, mpsc};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::server::{client, serve};

const ONE_AT_A_TIME: &str = "[api]\nbreaker = { mode = 'disabled' }\nbulkhead = { max_concurrent = 1, max_wait = '20s' }\n\
    mailbox = { capacity = 1, on_full = 'error', priorities = true }\n";

async fn protect(policy: &str) -> (Seawall, ProtectLayer) {
    let seawall = Seawall::builder().policy_text("test.toml", policy).start().unwrap();
    let layer = seawall.protect("api").await.unwrap();
    (seawall, layer)
}

fn snapshot(seawall: &Seawall) -> Snapshot {
    seawall.dependency("api").unwrap().snapshot()
}

/// Until it says so; the server's tasks run meanwhile.
async fn until(seawall: &Seawall, says: impl Fn(&Snapshot) -> bool) {
    while !says(&snapshot(seawall)) {
        tokio::task::yield_now().await;
    }
}

/// Tells of each request that is in it, and answers it when there is a permit of ours.
#[derive(Clone)]
struct Handler {
    doors: Arc<Semaphore>,
    entered: mpsc::UnboundedSender<String>,
}

impl Handler {
    fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (entered, hears) = mpsc::unbounded_channel();
        (Self { doors: Arc::new(Semaphore::new(0)), entered }, hears)
    }

    async fn answer(self, request: Request) -> &'static str {
        self.entered.send(request.uri().path().to_owned()).unwrap();
        self.doors.acquire().await.unwrap().forget();
        "done"
    }

    fn app(&self, layer: ProtectLayer) -> Router {
        let handler = self.clone();
        let answer = move |request: Request| handler.clone().answer(request);
        let methods = get(answer.clone()).post(answer);
        Router::new().route("/{*rest}", methods).layer(layer).layer(DeadlineLayer::new())
    }
}

#[tokio::test]
async fn who_finds_no_room_is_told_at_once_and_its_body_is_not_read() {
    let (seawall, layer) = protect(ONE_AT_A_TIME).await;
    let (handler, mut entered) = Handler::new();
    let address = serve(handler.app(layer)).await;
    let url = |path: &str| format!("http://{address}{path}");
    let first = tokio::spawn(client().get(url("/first")).send());
    assert_eq!(entered.recv().await.unwrap(), "/first");
    let second = tokio::spawn(client().get(url("/second")).send());
    until(&seawall, |now| now.mailbox.waiting == 1).await;

    // A body that never ends.
    let (_open, body) = mpsc::unbounded_channel::<Result<Bytes, Infallible>>();
    let endless = reqwest::Body::wrap(Channel(body));
    let third = client().post(url("/third")).body(endless).send().await.unwrap();
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    let field = |name: &str| third.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!(
        (field("retry-after"), field("content-type")),
        ("1".into(), "application/problem+json".into())
    );
    let text = third.text().await.unwrap();
    assert!(text.contains("more requests than it can answer in time"), "{text}");
    assert_eq!(snapshot(&seawall).rejections(RejectedBy::QueueFull), 1);

    handler.doors.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap().status(), StatusCode::OK);
    assert_eq!(entered.recv().await.unwrap(), "/second");
    assert_eq!(second.await.unwrap().unwrap().status(), StatusCode::OK);
    assert!(entered.try_recv().is_err(), "the third was never in it");
    until(&seawall, |now| now.active == 0).await;
    seawall.shutdown(Duration::ZERO).await;
}

/// A body of what comes through a channel.
struct Channel(mpsc::UnboundedReceiver<Result<Bytes, Infallible>>);

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map_ok(http_body::Frame::data)
    }
}

#[tokio::test]
async fn the_most_important_is_served_first_and_nobody_makes_itself_more_important() {
    let (seawall, layer) = protect(ONE_AT_A_TIME).await;
    let layer = layer.priority(|head| match head.uri.path() {
        "/pay" => Priority::CRITICAL,
        "/report" => Priority::SHEDDABLE,
        _ => Priority::NORMAL,
    });
    let (handler, mut entered) = Handler::new();
    let app = handler.app(layer);
    let mut asked = Vec::new();
    let mut waiting = 0;
    for (path, belongs_to) in [
        ("/first", ""),
        ("/report", ""),
        ("/pay", "attempt=1;priority=normal.5"),
        ("/pay", "attempt=1"),
    ] {
        let request = http::Request::get(path).header("seawall-origin", belongs_to);
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap());
        asked.push(tokio::spawn(async move {
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            // With its body goes its permit.
            answer.into_body().collect().await.unwrap();
        }));
        if path == "/first" {
            entered.recv().await.unwrap();
        } else {
            waiting += 1;
            until(&seawall, |now| now.mailbox.waiting == waiting).await;
        }
    }
    handler.doors.add_permits(4);
    for task in asked {
        task.await.unwrap();
    }
    let order: Vec<String> = std::iter::from_fn(|| entered.try_recv().ok()).collect();
    assert_eq!(order, ["/pay", "/pay", "/report"]);
    seawall.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_server_that_anybody_can_ask_believes_nobody() {
    let says =
        service_fn(async |_: http::Request<()>| Ok::<_, Infallible>(seawall::deadline::origin()));
    let request = || {
        let request =
            http::Request::get("/").header("seawall-origin", "attempt=3;lot=7;priority=critical");
        request.body(()).unwrap()
    };
    let believed = DeadlineLayer::new().layer(says).oneshot(request()).await.unwrap();
    assert_eq!((believed.attempt(), believed.priority()), (3, Priority::CRITICAL));
    let layer = DeadlineLayer::new().ignore_origin();
    let own = layer.layer(says).oneshot(request()).await.unwrap();
    assert_eq!((own.attempt(), own.priority()), (1, Priority::NORMAL));
    assert!(own.lot().is_some_and(|lot| Some(lot) != believed.lot()), "drawn here");
}

#[tokio::test]
async fn a_request_has_its_permit_until_its_answer_has_been_sent() {
    let (seawall, layer) = protect(ONE_AT_A_TIME).await;
    let (send, receive) = mpsc::unbounded_channel();
    let receive = Arc::new(Mutex::new(Some(receive)));
    let inner = service_fn(move |_: http::Request<()>| {
        let body = receive.lock().unwrap().take().map(Channel);
        async move { Ok::<_, Infallible>(http::Response::new(body.unwrap())) }
    });
    let answer = layer.layer(inner).oneshot(http::Request::new(())).await.unwrap();
    assert_eq!(snapshot(&seawall).active, 1);
    let mut body = answer.into_body();
    send.send(Ok(Bytes::from_static(b"part"))).unwrap();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "part");
    assert_eq!(snapshot(&seawall).active, 1);
    drop(send);
    assert!(body.frame().await.is_none());
    assert_eq!(snapshot(&seawall).active, 0, "though the body is still there");
    seawall.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn refusals_say_what_they_are() {
    let policy = "[api]\nbreaker = { mode = 'disabled' }\ntimeout = '50ms'\nrate_limit = { token_bucket = { capacity = 2, refill_per_second = 0.001 } }";
    let (seawall, layer) = protect(policy).await;
    let hangs = service_fn(async |request: http::Request<()>| {
        if request.uri().path() == "/hangs" {
            std::future::pending::<()>().await;
        }
        Ok::<_, Infallible>(http::Response::new(Body::empty()))
    });
    let mut server = layer.layer(hangs);
    let mut ask = |path: &str, content_type: &str| {
        let request = http::Request::get(path).header("content-type", content_type);
        server.call(request.body(()).unwrap())
    };
    let answer = ask("/hangs", "application/grpc").await.unwrap();
    assert_eq!(
        answer.headers()["grpc-status"],
        "14",
        "the inner service had it, and it is still known as gRPC's"
    );
    assert_eq!(ask("/", "").await.unwrap().status(), StatusCode::OK);
    let answer = ask("/", "").await.unwrap();
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((990..=1_000).contains(&after), "{after}");
    seawall.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_server_that_nobody_said_anything_of_finds_its_permits_and_has_no_breaker() {
    let (seawall, layer) = protect("[defaults]\ntimeout = '1s'\n").await;
    assert_eq!(*seawall.dependency("api").unwrap().policy(), Policy::for_server());
    let fails = service_fn(async |_: http::Request<()>| {
        let mut answer = http::Response::new(Body::empty());
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        Ok::<_, Infallible>(answer)
    });
    let mut server = layer.layer(fails);
    for _ in 0..100 {
        let answer = server.call(http::Request::new(())).await.unwrap();
        assert_eq!(
            answer.status(),
            StatusCode::INTERNAL_SERVER_ERROR,
            "its own answers go through"
        );
    }
    let reloaded =
        seawall.reload_from(seawall::policy::PolicyFile::parse("", "empty.toml").unwrap());
    assert!(reloaded.changed.is_empty());
    let named =
        seawall::policy::PolicyFile::parse("[api]\nbulkhead.max_concurrent = 7", "named.toml");
    seawall.reload_from(named.unwrap());
    assert_eq!(snapshot(&seawall).limit, 7);
    seawall.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_client_that_goes_away_gives_its_permit_back() {
    let (seawall, layer) = protect(ONE_AT_A_TIME).await;
    let hangs = service_fn(async |_: http::Request<()>| {
        std::future::pending::<Result<http::Response<Body>, Infallible>>().await
    });
    let mut server = layer.layer(hangs);
    let (first, second) =
        (server.call(http::Request::new(())), server.call(http::Request::new(())));
    let (first, second) = (tokio::spawn(first), tokio::spawn(second));
    until(&seawall, |now| now.active == 1 && now.mailbox.waiting == 1).await;
    second.abort();
    until(&seawall, |now| now.mailbox.waiting == 0).await;
    first.abort();
    until(&seawall, |now| now.active == 0).await;
    seawall.shutdown(Duration::ZERO).await;
}
