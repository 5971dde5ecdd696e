//! Streams as the answers of sync methods: guarded when they are first polled, and a permit each until they end.

use futures::stream::{self, LocalBoxStream};
use seawall::CallError;
use seawall::breaker;
use seawall::policy::Policy;

use super::pre::*;

type Item = std::io::Result<u8>;

#[resilient]
trait Log: Send + Sync {
    type Error;
    fn read(&self, from: &str) -> BoxStream<'_, Item>;
    fn tail(&self, from: &str) -> BoxStream<'static, Item>;
    fn borrowed<'a>(&'a self, from: &'a str) -> BoxStream<'a, Item>;
    fn written(&self) -> Pin<Box<dyn Stream<Item = Result<u8, Self::Error>> + Send + '_>>;
    fn local(&self) -> LocalBoxStream<'_, Item>;
    fn shared(self: Arc<Self>) -> BoxStream<'static, Item>;
    #[call(on_fault = none)]
    fn ticks(&self) -> BoxStream<'_, Option<u8>>;
    #[call(skip)]
    fn raw(&self) -> BoxStream<'_, u8>;
    fn len(&self) -> BoxFuture<'_, Item>;
}

#[resilient]
trait Opaque: Send + Sync {
    fn list(&self) -> impl Stream<Item = Item> + Send;
}

fn none(_: Fault) -> Option<u8> {
    None
}

/// Gives these, one after the other.
struct Book(Vec<Result<u8, &'static str>>);

impl Book {
    fn items(&self) -> impl Stream<Item = Item> + Send + use<> {
        let items = self.0.clone();
        // Reached when it is polled: where the answer may not borrow all that it is asked with, it is made at once.
        stream::iter(items).map(|item| hit!(item.map_err(std::io::Error::other)))
    }
}
impl Log for Book {
    type Error = CallError<std::io::Error>;
    fn read(&self, _: &str) -> BoxStream<'_, Item> {
        self.items().boxed()
    }
    fn tail(&self, _: &str) -> BoxStream<'static, Item> {
        self.items().boxed()
    }
    fn borrowed<'a>(&'a self, _: &'a str) -> BoxStream<'a, Item> {
        self.items().boxed()
    }
    fn written(&self) -> Pin<Box<dyn Stream<Item = Result<u8, Self::Error>> + Send + '_>> {
        self.items().map(|item| item.map_err(CallError::Inner)).boxed()
    }
    fn local(&self) -> LocalBoxStream<'_, Item> {
        self.items().boxed_local()
    }
    fn shared(self: Arc<Self>) -> BoxStream<'static, Item> {
        self.items().boxed()
    }
    fn ticks(&self) -> BoxStream<'_, Option<u8>> {
        self.items().map(|item| item.ok()).boxed()
    }
    fn raw(&self) -> BoxStream<'_, u8> {
        stream::empty().boxed()
    }
    fn len(&self) -> BoxFuture<'_, Item> {
        Box::pin(async { hit!(Ok(self.0.len() as u8)) })
    }
}
impl Opaque for Book {
    fn list(&self) -> impl Stream<Item = Item> + Send {
        self.items()
    }
}

async fn book(seawall: &Seawall, items: &[Result<u8, &'static str>]) -> LogClient<Book> {
    seawall.spawn("it", Book(items.to_vec())).await.unwrap()
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it = book(&seawall, &[Ok(1), Ok(2)]).await;
    let look = Look::at(&seawall);
    look.method("read", || it.read("a").collect::<Vec<_>>()).await;
    look.method("borrowed", || it.borrowed("a").collect::<Vec<_>>()).await;
    look.method("written", || it.written().collect::<Vec<_>>()).await;
    look.method("local", || it.local().collect::<Vec<_>>()).await;
    look.method("shared", || Arc::new(it.clone()).shared().collect::<Vec<_>>()).await;
    look.method("ticks", || it.ticks().collect::<Vec<_>>()).await;
    look.method("len", || it.len()).await;
    let opaque: OpaqueClient<Book> = seawall.client("it", Book(vec![Ok(1)])).unwrap();
    look.method("list", || opaque.list().collect::<Vec<_>>()).await;
    let used: Arc<dyn Log<Error = CallError<std::io::Error>>> = Arc::new(it);
    look.method("read(dyn)", || used.read("a").collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn a_refusal_is_one_item_and_comes_when_it_is_polled() {
    let seawall = start();
    let it = book(&seawall, &[Ok(1), Ok(2)]).await;
    let handle = seawall.dependency("it").unwrap();
    handle.force_open().await.unwrap();
    let (read, tail) = (it.read("a"), it.tail("a"));
    handle.force_closed().await.unwrap();
    let read: Vec<u8> = read.map(Result::unwrap).collect().await;
    let tail: Vec<u8> = tail.map(Result::unwrap).collect().await;
    assert_eq!((read, tail), (vec![1, 2], vec![1, 2]), "not before it is polled");
    handle.force_open().await.unwrap();
    let refused: Vec<Item> = it.read("a").collect().await;
    assert_eq!(refused.len(), 1);
    let fault = refused[0].as_ref().unwrap_err().get_ref().unwrap().downcast_ref::<Fault>();
    assert!(matches!(fault, Some(Fault::Rejected { .. })), "{refused:?}");
    assert_eq!(it.ticks().collect::<Vec<_>>().await, [None]);
}

#[tokio::test]
async fn the_permit_is_held_until_the_stream_ends_or_is_dropped() {
    let seawall = start();
    let it = book(&seawall, &[Ok(1), Ok(2)]).await;
    let active = || seawall.dependency("it").unwrap().snapshot().active;
    let mut read = it.read("a");
    assert_eq!(active(), 0, "nothing has begun");
    assert_eq!(read.next().await.unwrap().unwrap(), 1);
    assert_eq!(active(), 1);
    let mut other = it.read("a");
    other.next().await.unwrap().unwrap();
    assert_eq!(active(), 2);
    drop(other);
    assert_eq!(active(), 1);
    assert_eq!(read.next().await.unwrap().unwrap(), 2);
    assert!(read.next().await.is_none());
    assert_eq!(active(), 0, "at its end, and not when it is dropped");
    assert!(read.next().await.is_none(), "and it stays ended");
    let it = book(&start(), &[]).await;
    assert!(it.read("a").next().await.is_none(), "an empty one is an answer");
}

#[resilient]
#[async_trait]
trait Subscribe: Send + Sync {
    #[call(idempotent)]
    async fn subscribe(&self, of: String) -> std::io::Result<BoxStream<'static, u8>>;
    async fn borrowed(&self)
    -> Result<Pin<Box<dyn Stream<Item = u8> + Send + '_>>, std::io::Error>;
    #[call(on_fault = silence)]
    async fn bare(&self) -> BoxStream<'_, u8>;
}

fn silence<'a>(_: Fault) -> BoxStream<'a, u8> {
    stream::empty().boxed()
}

#[async_trait]
impl Subscribe for Book {
    async fn subscribe(&self, _: String) -> std::io::Result<BoxStream<'static, u8>> {
        hit!(Ok(self.items().map(Result::unwrap).boxed()))
    }
    async fn borrowed(
        &self,
    ) -> Result<Pin<Box<dyn Stream<Item = u8> + Send + '_>>, std::io::Error> {
        hit!(Ok(self.items().map(Result::unwrap).boxed()))
    }
    async fn bare(&self) -> BoxStream<'_, u8> {
        hit!(self.items().map(Result::unwrap).boxed())
    }
}

#[tokio::test]
async fn a_stream_within_an_answer_has_a_permit_until_it_ends_too() {
    let seawall = start();
    let it: SubscribeClient<Book> = seawall.spawn("it", Book(vec![Ok(1), Ok(2)])).await.unwrap();
    let look = Look::at(&seawall);
    look.method("subscribe", || it.subscribe("a".into())).await;
    look.method("borrowed", || async { it.borrowed().await.is_ok() }).await;
    let active = || seawall.dependency("it").unwrap().snapshot().active;
    let (one, mut two) = (it.subscribe("a".into()).await.unwrap(), it.borrowed().await.unwrap());
    look.method("bare", || it.bare()).await;
    let mut three = it.bare().await;
    assert_eq!(active(), 3);
    assert_eq!((three.next().await, three.next().await), (Some(1), Some(2)));
    assert_eq!((three.next().await, active()), (None, 2));
    drop(one);
    assert_eq!((two.next().await, active()), (Some(1), 1));
    assert_eq!((two.next().await, two.next().await, active()), (Some(2), None, 0));
}

#[tokio::test]
async fn a_stream_that_goes_on_keeps_others_out_of_a_full_bulkhead() {
    let policy = "it = { deadline = \"1s\", bulkhead = { max_concurrent = 1, max_wait = \"0s\" } }";
    let seawall = Seawall::builder().policy_text("test.toml", policy).start().unwrap();
    let it = book(&seawall, &[Ok(1), Ok(2)]).await;
    let mut read = it.read("a");
    read.next().await.unwrap().unwrap();
    assert!(it.len().await.is_err());
    drop(read);
    assert_eq!(it.len().await.unwrap(), 2);
}

#[tokio::test]
async fn the_first_item_is_the_attempt() {
    let breaker = breaker::Config::builder().failures(2);
    let policy = Policy::builder().breaker(breaker).build().unwrap();
    let seawall = Seawall::builder().policy("it", policy).start().unwrap();
    let it = book(&seawall, &[Err("no"), Ok(2)]).await;
    let items: Vec<Item> = it.read("a").collect().await;
    assert!(items[0].is_err() && items[1].is_ok(), "after a bad item it goes on");
    let window = || seawall.dependency("it").unwrap().snapshot().breaker;
    assert_eq!(window().failures_in_a_row, 1);
    let _ = it.read("a").collect::<Vec<_>>().await;
    assert_eq!(window().state, seawall::event::State::Open);
}
