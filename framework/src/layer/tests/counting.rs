use super::*;

/// Answers with the status that the path says.
#[derive(Clone)]
struct Says;

impl Service<Request<()>> for Says {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let mut answer = Response::new(String::new());
        *answer.status_mut() = request.uri().path()[1..].parse().unwrap();
        ready(Ok(answer))
    }
}

fn log_in(user: &str, says: &str) -> Request<()> {
    Request::get(format!("/{says}")).header("x-user", user).body(()).unwrap()
}

fn ask<S: Service<Request<()>, Response = Response<ResponseBody<String>>, Error = Infallible>>(
    service: &mut S,
    request: Request<()>,
) -> StatusCode {
    match pin!(service.call(request)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(answer)) => answer.status(),
        other => panic!("{:?}", other.map(drop)),
    }
}

fn failed(status: StatusCode, _: &HeaderMap) -> bool {
    status == StatusCode::UNAUTHORIZED
}

fn user() -> Key {
    Key::header("x-user".parse().unwrap())
}

#[test]
fn only_failed_log_ins_use_the_limit_up_each_users_own() {
    let limiters = KeyedLimiter::new(bucket(2, 0.001), KeyedConfig::default(), Moment::ZERO);
    let (clock, _) = clock();
    let layer = RateLimitLayer::new(PerKey::new(limiters, user())).clock(clock).count_if(failed);
    let mut service = layer.layer(Says);
    for _ in 0..10 {
        assert_eq!(ask(&mut service, log_in("ann", "200")), StatusCode::OK);
    }
    for _ in 0..2 {
        assert_eq!(ask(&mut service, log_in("ann", "401")), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask(&mut service, log_in("ann", "200")), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask(&mut service, log_in("bob", "200")), StatusCode::OK);
}

#[test]
fn what_is_under_way_is_taken_and_what_is_never_answered_counts() {
    let (clock, _) = clock();
    let layer = RateLimitLayer::new(limiter(2, 0.001)).clock(clock).count_if(failed);
    let mut service = layer.layer(Says);
    let (first, second) = (service.call(log_in("ann", "200")), service.call(log_in("ann", "200")));
    assert_eq!(ask(&mut service, log_in("ann", "200")), StatusCode::TOO_MANY_REQUESTS);
    drop(first);
    assert!(pin!(second).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert_eq!(ask(&mut service, log_in("ann", "401")), StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&mut service, log_in("ann", "401")), StatusCode::TOO_MANY_REQUESTS);
}

#[test]
fn every_layer_gets_back_what_it_gave() {
    let (clock, _) = clock();
    let config = |capacity| Config::token_bucket(capacity, 0.001).unwrap();
    let layers = Layers::builder(Moment::ZERO)
        .all("global", &config(3))
        .each("user", user(), &config(2))
        .build()
        .unwrap();
    let layer = RateLimitLayer::new(Arc::new(layers)).clock(clock).count_if(failed);
    let mut service = layer.layer(Says);
    for _ in 0..10 {
        assert_eq!(ask(&mut service, log_in("ann", "200")), StatusCode::OK);
    }
    for user in ["ann", "ann", "bob"] {
        assert_eq!(ask(&mut service, log_in(user, "401")), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(ask(&mut service, log_in("eve", "401")), StatusCode::TOO_MANY_REQUESTS);
}
