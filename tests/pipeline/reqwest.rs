//! The classifiers for reqwest, against its own errors, got from real servers on loopback.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use reqwest::dns::{Name, Resolve, Resolving};
use seawall::prelude::*;
use seawall::{CallOutcome, Outcome, State, Time};
use seawall::{classify, resilient};
use seawall_tests::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::build::*;

const BUSY: &str =
    "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
const BUSY_UNTIL: &str = "HTTP/1.1 429 Too Many Requests\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
    retry-after: Sun, 06 Nov 1994 08:50:07 GMT\r\ncontent-length: 0\r\n\r\n";
const GONE: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";
const CUT_OFF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfine";
const ROUND: &str = "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n";
const NO_HTTP: &str = "220 mail.example ESMTP\r\n";

/// Runs on a runtime of its own, and not for ever.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.unwrap() })
}

/// A server that gives every request the same answer and hangs up; with none it never answers. Its URL.
async fn server(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let read = connection.read_buf(&mut request).await.unwrap_or(0);
                    assert!(read > 0, "no request");
                }
                match answer {
                    // The one that hangs up first may be gone already.
                    Some(answer) => drop(connection.write_all(answer.as_bytes()).await),
                    None => std::future::pending().await,
                }
            });
        }
    });
    url
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

type Answer = Result<reqwest::Response, reqwest::Error>;

async fn get(answer: &'static str) -> Answer {
    client().get(server(Some(answer)).await).send().await
}

/// What both classifiers say to an error.
#[track_caller]
fn class_of(answer: &Answer) -> Class {
    assert!(answer.is_err(), "should fail, but is {answer:?}");
    assert_eq!(classify::reqwest(answer), classify::reqwest_response(answer));
    assert_eq!(classify::reqwest_response_retry_after(answer), None);
    classify::reqwest(answer)
}

#[test]
fn nobody_there_is_a_failure() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let answer = client().get(url).send().await;
        assert_eq!(class_of(&answer), Class::Failure);
        assert!(answer.unwrap_err().is_connect());
    });
}

#[test]
fn nobody_answering_is_a_failure() {
    run(async {
        let url = server(None).await;
        // Time runs when nothing else does: the timeout is over at once.
        tokio::time::pause();
        let answer = client().get(url).timeout(Duration::from_secs(5)).send().await;
        assert_eq!(class_of(&answer), Class::Failure);
        assert!(answer.unwrap_err().is_timeout());
    });
}

#[test]
fn an_answer_that_breaks_off_or_is_no_http_is_a_failure() {
    run(async {
        let body = get(CUT_OFF).await.unwrap().bytes().await;
        assert_eq!(classify::reqwest(&body), Class::Failure);
        let error = body.unwrap_err();
        assert!(error.is_body() || error.is_decode(), "{error:?}");
        assert_eq!(class_of(&get(NO_HTTP).await), Class::Failure);
    });
}

#[test]
fn a_status_counts_as_itself_whether_it_is_a_value_or_an_error() {
    run(async {
        let expected = [
            (FINE, Class::Success),
            (GONE, Class::Ignored),
            (BUSY, Class::Failure),
            (BUSY_UNTIL, Class::Failure),
        ];
        for (text, class) in expected {
            let answer = get(text).await;
            assert_eq!(classify::reqwest_response(&answer), class, "{text}");
            assert_eq!(classify::reqwest(&answer), Class::Success, "a value is a value");
            let checked = answer.unwrap().error_for_status();
            assert_eq!(classify::reqwest(&checked), class, "{text}");
        }
    });
}

#[test]
fn a_retry_after_is_read_off_an_answer_in_both_forms() {
    run(async {
        let after = |answer| classify::reqwest_response_retry_after(&answer);
        assert_eq!(after(get(BUSY).await), Some(secs(7)));
        assert_eq!(after(get(BUSY_UNTIL).await), Some(secs(30)));
        assert_eq!(after(get(GONE).await), None);
        assert_eq!(after(get(BUSY).await.unwrap().error_for_status()), None, "no headers any more");
    });
}

#[test]
fn what_never_left_and_what_leads_in_circles_say_nothing() {
    run(async {
        let answer = client().get("no url").send().await;
        assert_eq!(class_of(&answer), Class::Ignored);
        assert!(answer.unwrap_err().is_builder());
        let answer = get(ROUND).await;
        assert_eq!(class_of(&answer), Class::Ignored);
        assert!(answer.unwrap_err().is_redirect());
    });
}

/// A resolver that is guarded by a Seawall of its own, which says this.
struct Guarded(Fault);

impl Resolve for Guarded {
    fn resolve(&self, _: Name) -> Resolving {
        let fault: Box<dyn Error + Send + Sync> = Box::new(self.0.clone());
        Box::pin(std::future::ready(Err(fault)))
    }
}

#[test]
fn a_fault_of_a_client_underneath_is_found_in_it() {
    run(async {
        let (dependency, by) = ("names".into(), RejectedBy::Breaker);
        let refused = Fault::Rejected { dependency, by, retry_after: None, earlier: None };
        let late = Fault::TimedOut { dependency: "names".into(), after: secs(1) };
        for (fault, class) in [(refused, Class::Ignored), (late, Class::Failure)] {
            let resolver = reqwest::Client::builder().no_proxy().dns_resolver(Guarded(fault));
            let answer = resolver.build().unwrap().get("http://catalogue.invalid/").send().await;
            assert_eq!(class_of(&answer), class);
        }
    });
}

#[resilient(
    errors = "wrapped",
    classify = classify::reqwest_response,
    retry_after = classify::reqwest_response_retry_after,
)]
trait Web {
    #[call(idempotent)]
    async fn get(&self) -> Result<reqwest::Response, reqwest::Error>;
}

struct Http {
    client: reqwest::Client,
    url: String,
}

impl Web for Http {
    async fn get(&self) -> Result<reqwest::Response, reqwest::Error> {
        self.client.get(&self.url).send().await
    }
}

#[test]
fn a_503_that_says_when_to_come_back_opens_the_breaker_for_so_long() {
    run(async {
        let time = Time::manual();
        let policy = base()
            .retry(retries(1))
            .breaker(trips_after(1).first_open_for(secs(5)).open_for(secs(5)));
        let policy = policy.build().unwrap();
        let seawall = Seawall::builder().time(&time).policy("web", policy).start().unwrap();
        let service = Http { client: client(), url: server(Some(BUSY)).await };
        let web: WebClient<Http> = seawall.spawn("web", service).await.unwrap();
        assert_eq!(
            web.get().await.unwrap().status(),
            503,
            "the answer is the caller's all the same"
        );
        let dependency = seawall.dependency("web").unwrap();
        assert_eq!(dependency.state(), State::Open);
        time.advance(secs(5));
        let refused = web.get().await.unwrap_err();
        assert_eq!(refused.fault().unwrap().retry_after(), Some(secs(2)), "{refused}");
        assert_eq!(dependency.snapshot().calls(CallOutcome::Failure), 1);
    });
}

#[test]
fn a_404_neither_counts_nor_is_retried() {
    run(async {
        let policy = base().breaker(trips_after(1)).build().unwrap();
        let time = Time::manual();
        let seawall = Seawall::builder().time(&time).policy("web", policy).start().unwrap();
        let service = Http { client: client(), url: server(Some(GONE)).await };
        let web: WebClient<Http> = seawall.spawn("web", service).await.unwrap();
        assert_eq!(web.get().await.unwrap().status(), 404);
        let now = seawall.dependency("web").unwrap().snapshot();
        assert_eq!((now.attempts(Outcome::Ignored), now.retries), (1, 0));
        assert_eq!(now.breaker.state, State::Closed);
    });
}
