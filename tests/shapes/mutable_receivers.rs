//! `&mut self`: a clone for each call, or the service to itself.

use std::sync::atomic::{AtomicU32, Ordering};

use super::pre::*;

/// How many calls were with the service at once, at most.
#[derive(Clone, Default)]
struct Channel {
    busy: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    calls: u32,
}

impl Channel {
    async fn send(&mut self) -> std::io::Result<u32> {
        self.calls += 1;
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(busy, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.busy.fetch_sub(1, Ordering::SeqCst);
        hit!(Ok(self.calls))
    }
}

/// As tonic's clients are.
#[resilient(clone)]
trait Cloned {
    #[call(idempotent)]
    async fn ask(&mut self, text: String) -> std::io::Result<u32>;
    fn name(&self) -> &'static str;
}
impl Cloned for Channel {
    async fn ask(&mut self, text: String) -> std::io::Result<u32> {
        drop(text);
        self.send().await
    }
    fn name(&self) -> &'static str {
        "channel"
    }
}

#[resilient(exclusive)]
trait Alone {
    async fn ask(&mut self, text: &str) -> std::io::Result<u32>;
    #[call(idempotent)]
    async fn again(&mut self, text: String) -> std::io::Result<u32>;
    fn limit(&self) -> u32 {
        7
    }
}
impl Alone for Channel {
    async fn ask(&mut self, _: &str) -> std::io::Result<u32> {
        self.send().await
    }
    async fn again(&mut self, text: String) -> std::io::Result<u32> {
        drop(text);
        self.send().await
    }
}

#[tokio::test]
async fn with_clone_each_call_works_on_a_clone_side_by_side() {
    let (seawall, channel) = (start(), Channel::default());
    let it: ClonedClient<Channel> = seawall.spawn("it", channel.clone()).await.unwrap();
    let look = Look::at(&seawall);
    look.method("ask", || async { it.clone().ask("a".into()).await }).await;
    let (mut one, mut two) = (it.clone(), it.clone());
    let both = tokio::join!(one.ask("a".into()), two.ask("b".into()));
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (1, 1), "neither sees what the other did");
    assert_eq!(channel.most.load(Ordering::SeqCst), 2);
    assert_eq!(it.name(), "channel");
}

#[tokio::test]
async fn with_exclusive_one_call_at_a_time_has_the_service() {
    let (seawall, channel) = (start(), Channel::default());
    let it: AloneClient<Channel> = seawall.spawn("it", channel.clone()).await.unwrap();
    let look = Look::at(&seawall);
    look.method("ask", || async { it.clone().ask("a").await }).await;
    look.method("again", || async { it.clone().again("a".into()).await }).await;
    let (mut one, mut two) = (it.clone(), it.clone());
    let both = tokio::join!(one.ask("a"), two.ask("b"));
    let mut seen = [both.0.unwrap(), both.1.unwrap()];
    seen.sort_unstable();
    assert_eq!(seen, [3, 4], "clones share the service");
    assert_eq!(channel.most.load(Ordering::SeqCst), 1);
    assert_eq!(it.limit(), 7, "a body of the trait's stays");
    let snapshot = seawall.dependency("it").unwrap().snapshot();
    assert_eq!(snapshot.limit, 1, "the bulkhead does the waiting");
    assert_eq!(snapshot.mailbox.processed, 1);
}

#[tokio::test]
async fn with_exclusive_no_policy_makes_it_more_than_one() {
    let many = "it.bulkhead = { max_concurrent = 50 }";
    let seawall = Seawall::builder().policy_text("test.toml", many).start().unwrap();
    let _it: AloneClient<Channel> = seawall.spawn("it", Channel::default()).await.unwrap();
    let handle = seawall.dependency("it").unwrap();
    assert_eq!(handle.snapshot().limit, 1);
    let policies = seawall::policy::PolicyFile::parse("it.bulkhead = { max_concurrent = 9 }", "x");
    assert_eq!(seawall.reload_from(policies.unwrap()).changed, ["it"]);
    assert_eq!(handle.snapshot().limit, 1);
}
