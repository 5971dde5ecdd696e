//! The layer around a client, with a client that follows a script and bodies that are fed by hand.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use proptest::prelude::*;
use seawall::backpressure::Strategy as OnFull;
use seawall::classify::fault_in;
use seawall::outgoing::{BoxError, HeldBody, Outgoing};
use seawall::prelude::*;
use seawall::runtime::LayerBuilder;
use seawall::{CallOutcome, State, Time};
use seawall::{ManualTime, MethodSnapshot, Outcome, policy};
use seawall_tests::{Task, block_on, ready};
use tower::{Layer, Service};

use super::build::*;

/// What comes of a body, in order. Empty: it pends.
#[derive(Clone, Debug)]
enum Piece {
    Data(&'static str),
    Trailers(&'static str),
    Broken,
    End,
}

type Pieces = Arc<Mutex<VecDeque<Piece>>>;

/// A body that is fed by hand.
#[derive(Debug, Default)]
struct Fed(Pieces);

impl Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(piece) = self.0.lock().unwrap().pop_front() else { return Poll::Pending };
        Poll::Ready(match piece {
            Piece::Data(data) => Some(Ok(Frame::data(data.into()))),
            Piece::Trailers(code) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", code.parse().unwrap());
                Some(Ok(Frame::trailers(trailers)))
            }
            Piece::Broken => Some(Err(io::ErrorKind::ConnectionReset.into())),
            Piece::End => None,
        })
    }
}

/// What the client does with a request.
enum Step {
    /// Answers with this status, this `grpc-status` if there is one, and this body.
    Answer(u16, Option<&'static str>, Pieces),
    Refused,
    Hang,
    NeverReady,
}

/// A client that follows a script, and answers 200 when that is over.
#[derive(Clone, Default)]
struct Client {
    script: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Vec<Request<String>>>>,
}

impl Client {
    fn seen(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// The field of the last request.
    fn sent(&self, name: &str) -> Option<String> {
        let seen = self.seen.lock().unwrap();
        seen.last()?.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }
}

impl Service<Request<String>> for Client {
    type Response = Response<Fed>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Response<Fed>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.script.lock().unwrap().front() {
            Some(Step::NeverReady) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        self.seen.lock().unwrap().push(request);
        let step = self.script.lock().unwrap().pop_front();
        let step = step.unwrap_or(Step::Answer(200, None, ended()));
        Box::pin(async move {
            match step {
                Step::Answer(status, code, pieces) => {
                    let mut response = Response::builder().status(status);
                    if let Some(code) = code {
                        response = response.header("grpc-status", code);
                    }
                    Ok(response.body(Fed(pieces)).unwrap())
                }
                Step::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
                Step::Hang | Step::NeverReady => pending().await,
            }
        })
    }
}

fn ended() -> Pieces {
    Arc::new(Mutex::new([Piece::End].into()))
}

/// A body that is fed later.
fn fed() -> (Pieces, Step) {
    let pieces = Pieces::default();
    (Arc::clone(&pieces), Step::Answer(200, None, pieces))
}

/// Makes another of a request.
type Copier = fn(&Request<String>) -> Option<Request<String>>;

fn copied(request: &Request<String>) -> Option<Request<String>> {
    Some(request.clone())
}

struct Search {
    time: ManualTime,
    seawall: Seawall,
    client: Client,
    guarded: Outgoing<Client, Copier>,
}

type Answer = Result<Response<HeldBody<Fed>>, BoxError>;

/// `/find` may not be repeated.
fn search(policy: policy::Builder, script: impl IntoIterator<Item = Step>) -> Search {
    search_by(policy, script, |layer| layer.methods(&["/find"]))
}

/// `/find` may be repeated.
fn idempotent(policy: policy::Builder, script: impl IntoIterator<Item = Step>) -> Search {
    search_by(policy, script, |layer| layer.methods(&["/put"]))
}

fn search_by(
    policy: policy::Builder,
    script: impl IntoIterator<Item = Step>,
    set: impl FnOnce(LayerBuilder<'_, Copier>) -> LayerBuilder<'_, Copier>,
) -> Search {
    let time = Time::manual();
    let seawall = Seawall::builder().time(&time).policy("search", policy.build().unwrap());
    let seawall = seawall.start().unwrap();
    let client = Client::default();
    client.script.lock().unwrap().extend(script);
    let layer = seawall.layer("search").idempotent(&["/find"], copied as Copier);
    let guarded = block_on(set(layer).spawn()).unwrap().layer(client.clone());
    Search { time, seawall, client, guarded }
}

fn request(path: &str, content_type: &str) -> Request<String> {
    let request = Request::post(path).header("content-type", content_type);
    request.body("what".to_owned()).unwrap()
}

impl Search {
    fn call(&self, path: &str, content_type: &str) -> Task<'static, Answer> {
        Task::new(self.guarded.clone().call(request(path, content_type)))
    }

    fn http(&self) -> Task<'static, Answer> {
        self.call("/find", "application/json")
    }

    fn grpc(&self) -> Task<'static, Answer> {
        self.call("/find", "application/grpc")
    }

    fn snapshot(&self) -> seawall::Snapshot {
        self.seawall.dependency("search").unwrap().snapshot()
    }

    fn method(&self, name: &str) -> MethodSnapshot {
        let methods = self.snapshot().methods;
        methods.into_iter().find(|method| method.name == name).unwrap()
    }

    /// How often calls of `/find` have ended so, and how many attempts are with the dependency.
    fn ended(&self, outcome: CallOutcome) -> (u64, u32) {
        (self.method("/find").calls(outcome), self.snapshot().active)
    }
}

/// The next piece of a body.
fn next(response: &mut Response<HeldBody<Fed>>) -> Option<Result<Frame<Bytes>, io::Error>> {
    let body = Pin::new(response.body_mut());
    match body.poll_frame(&mut Context::from_waker(std::task::Waker::noop())) {
        Poll::Ready(frame) => frame,
        Poll::Pending => unreachable!("nothing was fed"),
    }
}

fn fault(answer: Answer) -> Fault {
    let error = answer.expect_err("an error");
    fault_in(&*error).expect("a fault").clone()
}

fn is_refused_by(answer: Answer, guard: RejectedBy) -> bool {
    matches!(fault(answer), Fault::Rejected { by, .. } if by == guard)
}

#[test]
fn requests_are_counted_under_the_methods_that_were_declared_and_all_others_together() {
    let search = search(base(), []);
    for path in ["/find", "/find", "/find?q=a", "/find/a", "/index"] {
        let answer = search.call(path, "application/json").ready();
        assert!(answer.is_ok());
    }
    assert_eq!(search.method("/find").calls(CallOutcome::Success), 3);
    assert_eq!(search.method("other").calls(CallOutcome::Success), 2);
    assert_eq!(search.snapshot().methods.len(), 2);
}

#[test]
fn a_label_of_the_applications_own_names_the_method() {
    let search = search_by(base(), [], |layer| {
        layer.methods(&["find", "index"]).label(|head| match head.path {
            path if path.starts_with("/find/") => "find",
            _ => head.method.as_str(),
        })
    });
    assert!(search.call("/find/a", "application/json").ready().is_ok());
    assert!(search.call("/b", "application/json").ready().is_ok());
    let calls = |name| search.method(name).calls(CallOutcome::Success);
    assert_eq!((calls("find"), calls("index"), calls("other")), (1, 0, 1));
}

#[test]
fn a_request_reaches_the_client_while_the_breaker_is_closed_and_not_while_it_is_forced_open() {
    let search = search(base(), []);
    assert!(search.http().ready().is_ok());
    assert_eq!(search.client.seen(), 1);
    block_on(search.seawall.dependency("search").unwrap().force_open()).unwrap();
    assert!(is_refused_by(search.http().ready(), RejectedBy::Breaker));
    assert_eq!(search.client.seen(), 1);
}

#[test]
fn statuses_decide_what_the_breaker_learns() {
    let status = |status| Step::Answer(status, None, ended());
    let script = [503, 404, 429, 200, 500, 502].map(status).into_iter().chain([Step::Refused]);
    let search = search(base(), script);
    for _ in 0..4 {
        assert!(search.http().ready().is_ok(), "a status is an answer");
    }
    let method = search.method("/find");
    let calls = CallOutcome::ALL.iter().map(|&outcome| method.calls(outcome));
    assert_eq!(calls.take(3).collect::<Vec<_>>(), [1, 2, 1]);
    for _ in 0..2 {
        assert!(search.http().ready().is_ok());
    }
    assert_eq!(search.snapshot().state(), State::Closed);
    assert!(search.http().ready().is_err(), "nobody listens");
    assert_eq!(search.snapshot().state(), State::Open, "three failures in a row");
}

#[test]
fn the_applications_own_classify_decides_instead() {
    let search = search_by(base(), [Step::Answer(404, None, ended())], |layer| {
        layer.methods(&["/find"]).classify(|status| match status.http.as_u16() {
            404 => Class::Failure,
            _ => status.class(),
        })
    });
    assert!(search.http().ready().is_ok());
    assert_eq!(search.ended(CallOutcome::Failure), (1, 0));
}

#[test]
fn a_response_keeps_its_permit_until_its_body_has_ended_or_is_dropped() {
    let policy = || base().bulkhead(permits(1).max_wait(Duration::ZERO));
    type Way = fn(&Pieces, Response<HeldBody<Fed>>);
    let ways: [Way; 3] = [
        |_, response| drop(response),
        |pieces, mut response| {
            pieces.lock().unwrap().extend([Piece::Data("a"), Piece::End]);
            assert!(next(&mut response).is_some());
            assert!(next(&mut response).is_none());
            std::mem::forget(response);
        },
        |pieces, mut response| {
            pieces.lock().unwrap().extend([Piece::Broken]);
            assert!(matches!(next(&mut response), Some(Err(_))));
            std::mem::forget(response);
        },
    ];
    for end in ways {
        let (pieces, answer) = fed();
        let search = search(policy(), [answer]);
        let response = search.http().ready().unwrap();
        assert_eq!(search.ended(CallOutcome::Success), (1, 1), "answered, and being read");
        assert!(is_refused_by(search.http().ready(), RejectedBy::Bulkhead));
        end(&pieces, response);
        assert_eq!(search.snapshot().active, 0);
        assert!(search.http().ready().is_ok());
    }
}

#[test]
fn a_hedged_call_of_grpc_is_counted_once_by_its_trailers() {
    let (pieces, answer) = fed();
    let hedge = seawall::retry::HedgeConfig::builder().after(ms(50)).build().unwrap();
    let search = idempotent(base().retry(retries(1).hedge(hedge)), [Step::Hang, answer]);
    let mut call = search.grpc();
    assert!(call.poll().is_pending());
    search.time.advance(ms(50));
    let mut response = call.ready().unwrap();
    assert_eq!(search.snapshot().hedges, 1);
    let all = || CallOutcome::ALL.iter().map(|&outcome| search.ended(outcome).0).sum::<u64>();
    assert_eq!((all(), search.snapshot().active), (0, 1), "the hedge has its permit");
    pieces.lock().unwrap().push_back(Piece::Trailers("0"));
    next(&mut response);
    drop(response);
    assert_eq!((search.ended(CallOutcome::Success), all()), ((1, 0), 1));
}

#[test]
fn a_client_that_waits_until_it_is_ready_is_not_while_its_requests_would_be_refused() {
    let policy = base().bulkhead(permits(1)).mailbox(line(1, OnFull::Error));
    let search = search_by(policy, [Step::Hang, Step::Hang], |layer| layer.wait_until_ready(true));
    let is_ready = |guarded: &mut Outgoing<Client, Copier>| {
        let mut context = Context::from_waker(std::task::Waker::noop());
        guarded.poll_ready(&mut context).is_ready()
    };
    let mut guarded = search.guarded.clone();
    assert!(is_ready(&mut guarded));
    let mut held = search.http();
    assert!(held.poll().is_pending());
    assert!(is_ready(&mut guarded), "a request may wait in the mailbox");
    let mut waits = search.http();
    assert!(waits.poll().is_pending());
    assert!(!is_ready(&mut guarded) && !is_ready(&mut guarded), "the mailbox is full");
    assert!(!is_ready(&mut guarded.clone()));
    drop(held);
    assert!(is_ready(&mut guarded));
    drop(waits);
    let handle = search.seawall.dependency("search").unwrap();
    block_on(handle.force_open()).unwrap();
    assert!(!is_ready(&mut guarded), "the breaker refuses");
    block_on(handle.reset()).unwrap();
    assert!(is_ready(&mut guarded));
    drop(block_on(search.seawall.shutdown(Duration::ZERO)));
    assert!(is_ready(&mut guarded), "a request is told that it is over");
}

#[test]
fn a_call_of_grpc_is_counted_by_its_trailers() {
    for (code, outcome) in [
        ("0", CallOutcome::Success),
        ("5", CallOutcome::Ignored),
        ("14", CallOutcome::Failure),
        ("nonsense", CallOutcome::Failure),
    ] {
        let (pieces, answer) = fed();
        let search = search(base().breaker(trips_after(1)), [answer]);
        let mut response = search.grpc().ready().unwrap();
        search.time.advance(ms(10));
        pieces.lock().unwrap().extend([Piece::Data("a"), Piece::Trailers(code)]);
        next(&mut response);
        let all: u64 = CallOutcome::ALL.iter().map(|&outcome| search.ended(outcome).0).sum();
        assert_eq!((all, search.snapshot().active), (0, 1), "nothing is known yet");
        next(&mut response);
        assert_eq!(search.ended(outcome), (1, 0), "{code}");
        drop(response);
        assert_eq!(search.ended(outcome), (1, 0), "it ends once");
        let is_open = search.snapshot().state() == State::Open;
        assert_eq!(is_open, outcome == CallOutcome::Failure, "{code}");
        assert_eq!(search.ended(CallOutcome::Cancelled).0, 0);
    }
}

#[test]
fn a_call_of_grpc_that_ends_without_trailers_is_a_failure_and_one_that_is_dropped_says_nothing() {
    let cases: [(&[Piece], CallOutcome); 4] = [
        (&[Piece::End], CallOutcome::Failure),
        (&[Piece::Data("a"), Piece::Broken], CallOutcome::Failure),
        (&[], CallOutcome::Cancelled),
        (&[Piece::Data("a")], CallOutcome::Cancelled),
    ];
    for (pieces, outcome) in cases {
        let (fed, answer) = fed();
        let search = search(base().breaker(trips_after(1)), [answer]);
        let mut response = search.grpc().ready().unwrap();
        fed.lock().unwrap().extend(pieces.iter().cloned());
        pieces.iter().for_each(|_| drop(next(&mut response)));
        drop(response);
        assert_eq!(search.ended(outcome), (1, 0), "{pieces:?}");
        let is_open = search.snapshot().state() == State::Open;
        assert_eq!(is_open, outcome == CallOutcome::Failure, "{pieces:?}");
    }
}

#[test]
fn a_probe_keeps_its_place_until_the_trailers_decide() {
    let (pieces, answer) = fed();
    let search = search(base().breaker(trips_after(1)), [Step::Refused, answer]);
    assert!(search.grpc().ready().is_err());
    search.time.advance(secs(5));
    let mut response = search.grpc().ready().unwrap();
    assert_eq!((search.snapshot().state(), search.snapshot().breaker.probes), (State::HalfOpen, 1));
    assert!(is_refused_by_status(search.grpc().ready(), "breaker"), "one probe at a time");
    pieces.lock().unwrap().push_back(Piece::Trailers("0"));
    next(&mut response);
    assert_eq!(search.snapshot().state(), State::Closed);
}

/// A fault of a call of gRPC is a status of tonic's, whose source it is.
fn is_refused_by_status(answer: Answer, guard: &str) -> bool {
    answer.expect_err("an error").to_string().contains(guard)
}

#[test]
fn a_stream_that_outlives_its_timeout_is_a_success_and_keeps_its_permit() {
    let (pieces, answer) = fed();
    let search = search(base(), [answer]);
    let mut response = search.grpc().ready().unwrap();
    pieces.lock().unwrap().extend([Piece::Data("a"), Piece::Data("b"), Piece::Trailers("14")]);
    search.time.advance(ms(999));
    next(&mut response);
    assert_eq!(search.ended(CallOutcome::Success), (0, 1));
    search.time.advance(ms(1));
    next(&mut response);
    assert_eq!(search.ended(CallOutcome::Success), (1, 1));
    next(&mut response);
    assert_eq!(search.ended(CallOutcome::Success), (1, 0), "what comes after that changes nothing");
    assert_eq!(search.ended(CallOutcome::Failure).0, 0);
    // The latency is that of the head.
    assert_eq!(search.method("/find").latency.sum_nanos, 0);
}

#[test]
fn what_is_idempotent_is_sent_again_as_it_was() {
    let unwell = || Step::Answer(503, None, ended());
    let search = idempotent(base(), [unwell(), Step::Refused]);
    let mut call = search.http();
    assert!(call.poll().is_pending());
    search.time.advance(ms(100));
    assert!(call.poll().is_pending());
    search.time.advance(ms(200));
    let Poll::Ready(Ok(response)) = call.poll() else { unreachable!("answered at last") };
    assert_eq!(response.status(), 200);
    let seen = search.client.seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|request| request.body() == "what" && request.uri() == "/find"));
    drop(seen);
    assert_eq!(search.method("/find").attempts(Outcome::Failure), 2);
    // What is not marked is sent once.
    search.client.script.lock().unwrap().push_back(unwell());
    let put = search.call("/put", "application/json").ready().unwrap();
    assert_eq!((put.status().as_u16(), search.client.seen()), (503, 4));
}

#[test]
fn a_request_that_cannot_be_copied_is_sent_once() {
    let script = [Step::Answer(503, None, ended())];
    let search =
        search_by(base(), script, |layer| layer.idempotent(&["/find"], (|_| None) as Copier));
    assert_eq!(search.http().ready().unwrap().status(), 503);
    assert_eq!(search.client.seen(), 1);
}

#[test]
fn a_call_of_grpc_is_sent_again_only_before_it_has_begun_to_answer() {
    let refused = Step::Answer(200, Some("14"), ended());
    let early = idempotent(base(), [refused]);
    let mut call = early.grpc();
    assert!(call.poll().is_pending(), "a status without a message: it has not begun");
    early.time.advance(ms(100));
    assert!(call.poll().is_ready());
    assert_eq!(early.client.seen(), 2);

    let (pieces, answer) = fed();
    let late = idempotent(base(), [answer]);
    let mut response = late.grpc().ready().unwrap();
    pieces.lock().unwrap().push_back(Piece::Trailers("14"));
    next(&mut response);
    assert_eq!((late.client.seen(), late.ended(CallOutcome::Failure)), (1, (1, 0)));
}

#[test]
fn the_server_is_told_how_long_the_answer_is_waited_for() {
    let search = search(base(), []);
    let plain = "x-envoy-expected-rq-timeout-ms";
    assert!(search.grpc().ready().is_ok());
    assert_eq!((search.client.sent("grpc-timeout").unwrap().as_str(), None), {
        ("1000m", search.client.sent(plain))
    });
    assert!(search.http().ready().is_ok());
    assert_eq!(search.client.sent(plain).unwrap(), "1000");
    assert_eq!(search.client.sent("grpc-timeout"), None);
    let mut hurried = request("/find", "application/grpc");
    hurried.headers_mut().insert("grpc-timeout", "20m".parse().unwrap());
    assert!(ready(search.guarded.clone().call(hurried)).is_ok());
    assert_eq!(search.client.sent("grpc-timeout").unwrap(), "20m", "never extended");
}

#[test]
fn a_retry_near_the_deadline_is_told_what_is_left_of_it() {
    let policy = base().deadline(ms(1_900)).bulkhead(permits(2).max_wait(ms(900)));
    let search = idempotent(policy, [Step::NeverReady]);
    let mut call = search.grpc();
    assert!(call.poll().is_pending());
    search.time.advance(ms(850));
    *search.client.script.lock().unwrap() = [Step::Refused].into();
    assert!(call.poll().is_pending());
    assert_eq!(search.client.sent("grpc-timeout").unwrap(), "150m", "of the attempt's second");
    search.time.advance(ms(100));
    assert!(call.poll().is_ready());
    assert_eq!(search.client.sent("grpc-timeout").unwrap(), "950m", "of the deadline");
}

#[test]
fn a_client_that_is_never_ready_is_waited_for_no_longer_than_the_timeout() {
    let search = search(base(), [Step::NeverReady]);
    let mut call = search.http();
    assert!(call.poll().is_pending());
    search.time.advance(secs(1));
    let Poll::Ready(answer) = call.poll() else { unreachable!("its time is up") };
    assert!(matches!(fault(answer), Fault::TimedOut { after, .. } if after == secs(1)));
    assert_eq!((search.client.seen(), search.ended(CallOutcome::TimedOut)), (0, (1, 0)));
}

#[test]
fn a_fault_of_a_call_of_grpc_is_a_status() {
    let search = search(base(), [Step::Hang]);
    let mut call = search.grpc();
    assert!(call.poll().is_pending());
    search.time.advance(secs(1));
    let Poll::Ready(Err(error)) = call.poll() else { unreachable!("its time is up") };
    assert!(matches!(fault_in(&*error), Some(Fault::TimedOut { .. })));
    let status = tonic::Status::from_error(error);
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded);
    assert_eq!(status.message(), "search: no answer within 1s");
}

/// What a reader does next.
#[derive(Clone, Copy, Debug)]
enum Move {
    Grpc,
    Http,
    Feed(u8),
    Read,
    DropCall,
    DropResponse,
    Advance(u16),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        3 => Just(Move::Grpc),
        1 => Just(Move::Http),
        4 => any::<u8>().prop_map(Move::Feed),
        6 => Just(Move::Read),
        1 => Just(Move::DropCall),
        1 => Just(Move::DropResponse),
        3 => (0_u16..3_000).prop_map(Move::Advance),
    ]
}

proptest! {
    /// Whatever becomes of calls and of what they answer: each is counted once, and everything is given back.
    #[test]
    fn every_call_is_counted_once_and_gives_everything_back(
        answers in prop::collection::vec(any::<u8>(), 0..40),
        moves in prop::collection::vec(moves(), 1..120),
    ) {
        let bodies: Pieces = Pieces::default();
        let script = answers.iter().map(|kind| match kind % 8 {
            0 => Step::Refused,
            1 => Step::Hang,
            2 => Step::Answer(503, None, Arc::clone(&bodies)),
            3 => Step::Answer(200, Some("14"), Arc::clone(&bodies)),
            _ => Step::Answer(200, None, Arc::clone(&bodies)),
        });
        let search = idempotent(base(), script);
        let (mut begun, mut calls, mut responses) = (0, Vec::new(), VecDeque::new());
        for step in moves {
            match step {
                Move::Grpc => calls.push(search.grpc()),
                Move::Http => calls.push(search.http()),
                Move::Feed(piece) => bodies.lock().unwrap().push_back(match piece % 8 {
                    0 => Piece::Trailers("0"),
                    1 => Piece::Trailers("14"),
                    2 => Piece::Broken,
                    3 => Piece::End,
                    _ => Piece::Data("a"),
                }),
                Move::Read => {
                    let is_fed = !bodies.lock().unwrap().is_empty();
                    let over = match responses.front_mut() {
                        Some(response) if is_fed => !matches!(next(response), Some(Ok(_))),
                        _ => false,
                    };
                    if over {
                        responses.pop_front();
                    }
                }
                Move::DropCall => drop(calls.pop()),
                Move::DropResponse => drop(responses.pop_front()),
                Move::Advance(millis) => search.time.advance(ms(millis.into())),
            }
            begun += u64::from(matches!(step, Move::Grpc | Move::Http));
            calls.retain_mut(|call| match call.poll() {
                Poll::Pending => true,
                Poll::Ready(answer) => {
                    responses.extend(answer);
                    false
                }
            });
        }
        drop((calls, responses));
        let now = search.snapshot();
        let counted: u64 = CallOutcome::ALL.iter().map(|&outcome| now.calls(outcome)).sum();
        prop_assert_eq!(counted, begun);
        let left = (now.active, now.pending, now.breaker.probes, now.mailbox.waiting);
        prop_assert_eq!(left, (0, 0, 0, 0));
    }
}
