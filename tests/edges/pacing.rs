//! A client that listens to a real server.

use std::time::Duration;

use reqwest::{Client, Error, Response, StatusCode};
use seawall::clock::Clock;
use seawall::layer::RateLimitLayer;
use seawall::limit::headers::{Report, ResetReading, reqwest_response_report};
use seawall::limit::{Pacer, PacerConfig};
use seawall::{CallError, Fault, Policy, RejectedBy, Seawall, Time, resilient};

use super::server::{Server, client, limiter};

#[tokio::test]
async fn a_paced_client_wants_three_times_the_quota_and_is_never_refused() {
    let server = Server::start(RateLimitLayer::new(limiter(20, 20.0))).await;
    let (client, time, wall, pacer) = (client(), Time::system(), Clock::system(), Pacer::default());
    let start = time.now();
    let mut statuses = Vec::new();
    while time.now().since(start) < Duration::from_secs(3) {
        match pacer.pace(time.now()) {
            Ok(turn) => {
                time.sleep(turn.wait()).await;
                let answer = client.get(server.url("/")).send().await.unwrap();
                let report =
                    Report::from_headers(answer.headers(), ResetReading::Guess, wall.since_epoch());
                pacer.learn(time.now(), turn, &report);
                statuses.push(answer.status());
            }
            Err(refusal) => time.sleep(refusal.retry_after.unwrap()).await,
        }
        // 60 requests a second are wanted; 20 are to be had, and a burst of 20.
        time.sleep(Duration::from_micros(16_667)).await;
    }
    let refused =
        statuses.iter().filter(|&&status| status == StatusCode::TOO_MANY_REQUESTS).count();
    eprintln!("{} sent, {refused} refused", statuses.len());
    assert_eq!(refused, 0);
    assert!(statuses.len() >= 40, "{} of about 70", statuses.len());
}

#[resilient(errors = "wrapped", quota = reqwest_response_report)]
trait Web {
    async fn get(&self, url: &str) -> Result<Response, Error>;
}

impl Web for Client {
    async fn get(&self, url: &str) -> Result<Response, Error> {
        Client::get(self, url).send().await
    }
}

#[tokio::test]
async fn a_client_with_a_quota_goes_by_what_the_server_says_and_is_never_refused() {
    let server = Server::start(RateLimitLayer::new(limiter(20, 1.0))).await;
    let at_once = PacerConfig::builder().max_wait(Duration::ZERO);
    let policy = Policy::builder().quota(at_once).build().unwrap();
    let seawall = Seawall::builder().policy("web", policy).start().unwrap();
    let web = WebClient::spawn(&seawall, "web", client()).await.unwrap();
    let (mut answered, mut spared) = (0, 0);
    for _ in 0..50 {
        match web.get(&server.url("/")).await {
            Ok(answer) => {
                assert_eq!(answer.status(), StatusCode::OK);
                answered += 1;
            }
            Err(CallError::Fault(Fault::Rejected { by: RejectedBy::RateLimit, .. })) => spared += 1,
            Err(other) => unreachable!("{other:?}"),
        }
    }
    assert!(answered >= 10, "half of it at once: {answered}");
    assert!(spared > 0, "50 are more than there are");
}
