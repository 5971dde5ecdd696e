//! The `#[resilient]` attribute: turns a trait of async methods into a guarded client.
//! Use it through the `seawall` crate, which re-exports it.

mod resilient;
mod retry;

use proc_macro::TokenStream;

/// Turns a trait of async methods into a client whose every call passes the guards of its dependency.
///
/// ```
/// use seawall::{CallError, Fault, resilient};
///
/// /// What the payment service offers.
/// #[resilient]
/// pub trait Payments {
///     /// Charges a card. Never retried: a second attempt could charge twice.
///     async fn charge(&self, order: String, cents: u64) -> Result<String, PaymentError>;
///
///     /// Looks a balance up: safe to repeat, with a timeout of its own and a degraded answer.
///     #[call(idempotent, timeout = "300ms", retry = 3, fallback = last_known)]
///     async fn balance(&self, account: &str) -> Result<u64, PaymentError>;
/// }
///
/// #[derive(Debug)]
/// pub enum PaymentError {
///     Declined,
///     Unreachable(Fault),
/// }
///
/// impl From<Fault> for PaymentError {
///     fn from(fault: Fault) -> Self {
///         Self::Unreachable(fault)
///     }
/// }
///
/// async fn last_known<S: Payments>(
///     _service: &S,
///     _error: &CallError<PaymentError>,
///     _account: &str,
/// ) -> Result<u64, PaymentError> {
///     Ok(0)
/// }
///
/// struct HttpPayments;
///
/// impl Payments for HttpPayments {
///     async fn charge(&self, order: String, cents: u64) -> Result<String, PaymentError> {
///         Ok(format!("{order}: {cents}"))
///     }
///     async fn balance(&self, _account: &str) -> Result<u64, PaymentError> {
///         Ok(100)
///     }
/// }
///
/// # async fn run(seawall: &seawall::Seawall) -> Result<(), Box<dyn std::error::Error>> {
/// let payments = PaymentsClient::spawn(seawall, "payments", HttpPayments).await.map_err(|_| "no")?;
/// let receipt = payments.charge("order 7".into(), 1299).await;
/// # Ok(())
/// # }
/// ```
///
/// # What it generates
///
/// For a trait `Payments`:
///
/// - **The trait**, as its author wrote it: implementations, mocks and callers stay as they are. But an `async fn` that no
///   attribute boxes is rewritten from `async fn m(…) -> R` to `fn m(…) -> impl Future<Output = R> + Send`, and the trait gets
///   `Send + Sync` as supertraits, so that a call can be spawned from generic code. Impls still write `async fn`. A default
///   body stays one.
/// - **`PaymentsClient<S>`**, as visible as the trait, `S` being the service (the trait's own parameters
///   follow it: `RepoClient<S, T>`). It is two pointers, and `Clone`, whatever `S` can. Its documents list which methods are
///   guarded. It implements `Payments`, so it stands wherever the service could, in tests and in front of
///   another client too. It implements `seawall::client::Proxy`, so that
///   `seawall.spawn::<PaymentsClient<_>>(name, service)` can make it.
/// - **`PaymentsClient::spawn(&seawall, name, service)`**, the same thing the other way round, and
///   **`client.service()`**, the service without the guards; **`client.within(duration)`**, the same client for calls that take
///   no longer than that. A trait with methods of these names keeps its own, and its client has none of ours.
///
/// One method of the client, shortened; `cargo expand` shows all of it:
///
/// ```text
/// impl<S: Payments> Payments for PaymentsClient<S> {
///     fn balance(&self, account: &str) -> impl Future<Output = Result<u64, PaymentError>> + Send {
///         async move {
///             let link = &self.link;
///             let mut call = Call::begin(link.methods(), 1);
///             let service = link.service();
///             let result = call.repeat(move || S::balance(service, account), &RULES).await; // `None`: no answer
///             answer(&mut call, result) // counted; what the service said, or of a fault `PaymentError::from(fault)`
///         }
///     }
/// }
/// ```
///
/// A call runs in the caller's task: nothing is boxed (but what the trait boxes itself), moved to another task or allocated,
/// and arguments may borrow. Dropping the future cancels the call. A panic of the service goes through to the caller.
///
/// # On an impl
///
/// `#[resilient(client = PaymentsClient)] impl HttpPayments { … }` makes a client with the same methods for a type that has no
/// trait: those that are `async`, take `self` by reference and are not private. Without `client` it is called as the type is,
/// with `Client` behind it.
///
/// # Options of `#[resilient(…)]`
///
/// | option | meaning | default |
/// | --- | --- | --- |
/// | `fault_with = path` | `fn(Fault) -> E`: makes your error of Seawall's own answers. For error types that are not yours; generic if the methods' errors differ. | `E: From<seawall::Fault>` |
/// | `errors = "wrapped"` | The client does not implement the trait. It has inherent methods of the same names that return `Result<T, CallError<E>>`, which keeps faults and errors apart. Methods that are not async stay with `client.service()`. Not together with `fault_with`. | the client implements the trait |
/// | `on_fault = path` | `fn(Fault) -> R`: the answer of a method without a `Result` when there is none. Generic, for every guarded method whose type is not called `…Result`. | such a method is an error |
/// | `clone` | Each call of a method that takes `&mut self` works on a clone of the service (`S: Clone`), side by side. What a cancelled call did to its clone is gone. | such a method is an error |
/// | `exclusive` | One call at a time has the service; the others wait in the bulkhead, which has one permit whatever a policy says. The service need not be `Sync`; one in a box goes to `seawall.spawn_box`. A cancelled call leaves the service as far as it came. | likewise |
/// | `dyn` | For a trait of native `async fn`s: a type without parameters, `BoxPayments`, that is made from any client or service by `BoxPayments::new`, and implements the trait. `Clone`; one box a call, only there. | |
/// | `with(A, B)` | Supertraits that are services too, each marked `#[resilient(part)]` in the same crate: the client implements them, guarded by the same dependency. The types in their signatures must be in scope here. | |
/// | `part` | The trait is such a part: it has no client of its own. | |
/// | `markers(A, B)` | Empty supertraits that the client implements. | |
/// | `inherent` | The client does not implement the trait: it has the guarded methods, with the trait's own types. For traits with constructors. | the client implements the trait |
/// | `remote = path` | The trait is another crate's, and its methods are written down here again; those with a body may be left out. The client implements the other crate's trait. | |
/// | `boxed_by(path)` | An attribute of your own that boxes the trait's futures, as `async_trait` does. | `async_trait`, by any path |
/// | `classify = path` | As the key of `#[call(…)]`, for every guarded method that names none of its own. Methods return different types, so it is generic: `fn class<T>(answer: &Result<T, E>) -> Class`. `seawall::classify` has some ready-made. | `Ok` is a success, `Err` a failure |
/// | `retry_after = path` | Likewise: `fn<T>(answer: &Result<T, E>) -> Option<Duration>`. | nobody says when |
/// | `quota = path` | Likewise: `fn<T>(answer: &Result<T, E>) -> Option<Report>`. `seawall::limit::headers` has some ready-made for HTTP. | answers say nothing |
/// | `client = Name` | The client's name. | the trait's, with `Client` behind it |
/// | `crate = "path"` | Where the `seawall` crate is found, if it was renamed. | `::seawall` |
///
/// # Keys of `#[call(…)]`
///
/// On an async method, or one that is `blocking` or `oneway`. What a policy says about the method goes over it. Several attributes are read as one.
///
/// | key | meaning | default |
/// | --- | --- | --- |
/// | `idempotent` | A second attempt does no harm. Without it nothing is ever retried, whatever a policy says. References are lent again to each attempt; values are cloned, and have to be `Clone`. | one attempt |
/// | `timeout = "300ms"` | How long one attempt may take; read while compiling. Units as in policy files: `"1m 30s"`, `"1.5s"`. Above zero. | the policy's |
/// | `slow_call = "200ms"` | From here on an attempt is slow, and counts for the breaker's `slow_call_rate`; one that its caller drops after it counts as a failure. Above zero; not longer than the `timeout`, which cuts it short where that comes from a policy. | the breaker's `slow_call` |
/// | `retry = 3` | How many attempts at most, the first included; at least 1. Needs `idempotent`. | the policy's |
/// | `retry(max_attempts = 3, when = path)` | The same, with `fn(&E) -> bool`: true for an error worth another attempt. Either can be left out. | every failure is worth it |
/// | `unprocessed = path` | `fn(&E) -> bool`: true for an error that says that the server has not begun the work, such as HTTP/2's REFUSED_STREAM (`seawall::classify::unprocessed`). Such an attempt may be sent once more though the method is not `idempotent`, if the policy allows retries and its budget this one. Arguments as for `idempotent`. | never |
/// | `fallback = path` | `async fn(&S, &CallError<E>, arguments…) -> R`: answers when the call ends in a fault or in an error that counts as a failure. Generic over the service (`S: Payments`), since the client is. Its errors are the call's. | the fault or error is the answer |
/// | `fallback = last_good(max_age = "5m", max_entries = 1000, key = …)` | answers with the last good answer to equal arguments, or to an equal `key` (an argument, or a function of references to all of them). The answer is `Clone`, the arguments or the key are `Hash`. See `seawall::last_good`, which tells its age, too. | 5 minutes, 1,000 answers |
/// | `classify = path` | `fn(&R) -> Class`: what an answer says about the dependency's health, `R` being what the method returns. What it ignores is neither counted, nor retried, nor replaced by a fallback. | the trait's |
/// | `retry_after = path` | `fn(&R) -> Option<Duration>`: for how long the server wants to be left alone. Asked about failures only, as `classify` has them, so a success pays nothing for it. The breaker, when it opens, stays open for at least that long (at most `max_open_for`); a retry waits at least that long, and is not made if that ends past the deadline. | the trait's |
/// | `quota = path` | `fn(&R) -> Option<Report>` (`seawall::limit::headers::Report`): what an answer says of the dependency's quota. Asked about every answer, failures and ignored ones too, if the policy has a `quota`, and about none without. Attempts, retries among them, are then slowed down before the dependency has to refuse; see `seawall::limit::guide`. | the trait's |
/// | `key = argument` | A breaker for each value of this argument (shard, host, tenant), as text by `Display`, beside the dependency's own: one that fails is cut off alone. How many, and for how long, is the policy's `breaker.keyed`; see `seawall::breaker::guide`. | the dependency's breaker only |
/// | `key = path` | The same, with a function from references to all arguments to something `Display`. | |
/// | `on_fault = path` | `fn(Fault) -> R`: the answer when there is none, for a method without a `Result`. | the trait's |
/// | `fault_with = path` | `fn(Fault) -> E`: over the trait's. | the trait's |
/// | `weight = 3` | How many of the bulkhead's permits an attempt needs, 1 to 1,000: for work that costs the dependency as much as several other calls. It waits in its turn until so many are free, and none passes it. One that needs more than there are runs alone. | 1 |
/// | `blocking` | The method blocks its thread: it runs on threads of the dependency's own, as many as the policy's `bulkhead.threads`. A `fn` then has its caller's thread wait, and is not to be called from a task; an `async fn` has the caller's task wait, and its future is polled by the thread. What is behind a reference is copied for the thread (`Clone` or `ToOwned`), and values are sent to it: no `&mut`, no `impl Trait`. The service is `Send + Sync`. An attempt that is out of time, or whose caller is gone, leaves its permit with its thread until that returns: `seawall_pool_abandoned` counts them. | an async method does not block; another is passed straight on |
/// | `oneway` | Nobody waits for the answer: the call waits in a queue of the method's own, and is made later, through all guards. The method returns nothing, or a `Result<(), E>` whose `Err` says that the call was not let in. What is behind a reference is copied; no type parameters, no `&mut`, no `impl Trait`. A `fn` that is not async is called by the task that makes the call; if it blocks, it is `blocking` too. The policy's `oneway` says how long the queue is, and what happens when it is full; see `seawall::backpressure::guide`. | the caller waits |
/// | `oneway(merge = path)` | The same, with `fn(&mut A, A) -> Result<(), A>`: when the queue is full, the call becomes part of the newest one that waits, `A` being the argument, or a tuple of all of them. Quick; called with the queue locked. `Err`: the two do not fit together, and the newcomer is refused. | a full queue refuses |
/// | `future` | What the method returns is a boxed future, under a name that does not say so. | |
/// | `skip` | Passed straight on to the service, unguarded. Not together with any other key. | guarded |
///
/// `classify`, `retry_after` and `quota` are quick and do not block: they run in the caller's task, once an attempt. A
/// panic in one of them goes through to the caller, and counts as a panic of the attempt.
///
/// ```
/// use std::io;
/// use std::time::Duration;
///
/// use seawall::{Class, Fault, classify, resilient};
///
/// /// What the mail service offers.
/// #[resilient(classify = class, retry_after = asked)]
/// pub trait Mail {
///     async fn send(&self, to: &str, text: &str) -> Result<(), MailError>;
///     /// Answered out of an index: 50 ms are a long time for it.
///     #[call(idempotent, slow_call = "50ms")]
///     async fn unread(&self) -> Result<u32, MailError>;
/// }
///
/// #[derive(Debug)]
/// pub enum MailError {
///     NoSuchAddress,
///     TooMuch { come_back: Duration },
///     Io(io::Error),
///     Refused(Fault),
/// }
/// # impl From<Fault> for MailError {
/// #     fn from(fault: Fault) -> Self {
/// #         Self::Refused(fault)
/// #     }
/// # }
///
/// fn class<T>(answer: &Result<T, MailError>) -> Class {
///     match answer {
///         Ok(_) => Class::Success,
///         Err(MailError::NoSuchAddress) => Class::Ignored, // the service is well, and says so
///         Err(MailError::Io(error)) => classify::io_error(error),
///         Err(MailError::TooMuch { .. } | MailError::Refused(_)) => Class::Failure,
///     }
/// }
///
/// fn asked<T>(answer: &Result<T, MailError>) -> Option<Duration> {
///     match answer {
///         Err(MailError::TooMuch { come_back }) => Some(*come_back),
///         _ => None,
///     }
/// }
/// ```
///
/// # Answers that go on
///
/// A boxed stream, as an answer or in a `Result`, has a permit until it ends or is dropped. Any other answer that goes on after its call (a
/// response with a body, a cursor) does so in a `seawall::Leased`: `async fn open(&self) -> Result<Leased<Download>, E>`.
///
/// # What is kept
///
/// Documents, `cfg` on the trait, its methods, arguments and associated items, other attributes of the
/// trait, generics, `where` clauses, lifetimes, patterns, visibility. Associated types and constants of the
/// client are the service's. A method that answers at once is passed on to the service; where that cannot be
/// (it takes `self` or `&mut self`, is `unsafe`, has `Self` in its signature, or is for types only, `where Self: Sized`, in a
/// trait that is used as `dyn`) it keeps the body that the trait gives it, and has to have one.
///
/// # What is guarded
///
/// - **`async fn`**, with `#[async_trait]` above or below `#[resilient]`, under `cfg_attr`, `?Send` or not.
/// - **Methods that return a future**: `impl Future`, `BoxFuture`, `LocalBoxFuture`, `Pin<Box<dyn Future>>`, and others with
///   `#[call(future)]`.
/// - **Methods that return a stream** of `Result`s, or of anything with `on_fault`: `impl Stream`, `BoxStream`,
///   `LocalBoxStream`, `Pin<Box<dyn Stream>>`. The stream passes the guards when it is first polled; the wait for its first
///   item is the attempt, and a permit is held until it ends or is dropped. A refusal is one item. A boxed stream in the
///   `Result` of an async method has a permit until it ends, too; the attempt is what the method awaits.
///
/// A method that may be a future and cannot be seen to be one is an error, and so is a trait without a guarded method:
/// nothing is left unguarded without a word.
///
/// Where the answer may not borrow all that the method is given (`fn list(&self, of: &str) -> BoxStream<'static, R>`), the
/// service is asked at once, and what it gives back is guarded before its first poll. Such a method is never retried.
///
/// # `dyn`
///
/// The client of a dyn-compatible trait stands wherever an `Arc<dyn Payments>` or `Box<dyn Payments>` is kept. The service may
/// be one too: `seawall.spawn_arc("payments", service)` gives a `PaymentsClient<dyn Payments>`, one type to store.
///
/// # Beside other attributes
///
/// Put `#[resilient]` first, above them: it hands the trait on to them. A mock of a boxed trait is what it is without us. With
/// `#[mockall::automock]` below `#[resilient]` on native `async fn`s the mock's futures are boxed:
/// `mock.expect_balance().returning(|_| Box::pin(async { Ok(7) }))`. Above it `automock` copies our attribute to where no macro
/// can take it. With `#[dynosaur::dynosaur(pub DynPayments = dyn(box) Payments)]` below it `DynPayments::new_box(client)` is a
/// client behind a pointer.
///
/// # What an attempt covers
///
/// The method's own future, no more. An answer whose body streams in later ends its attempt when the method returns it: read
/// the body inside the method if its time and its errors are to count.
///
/// # What is not supported, and why
///
/// - **An async method that takes `self`, or nothing**: one service is shared by all calls.
/// - **`impl Trait` as the answer of a guarded `async fn`**: its error could not be named. `skip` allows it.
/// - **`Self` in an async method's signature**: it is the service to its implementor and the client to its
///   callers. Associated types (`Self::Item`) and `self: Arc<Self>` are fine.
/// - **`&mut T` and `impl Trait` arguments of an `idempotent` method or one with a fallback**: the first may
///   have been changed by an attempt, the second cannot be seen to be `Clone`. `&impl Trait` is fine.
/// - **A method called `clone`**: the client is `Clone`.
/// - **A method that answers at once by `&self`, without a body, beside `exclusive`**: a call may have the service just now.
/// - **A supertrait other than `Send`, `Sync`, `Clone`, `Debug`, `Display`, lifetimes, parts and markers**, unless you implement
///   it for the client: `impl<S: Payments> Named for PaymentsClient<S> { … }`. One that has a blanket impl (`as_any`) finds the
///   client; `client.service()` is behind it.
/// - **`dyn Payments` of a trait with native `async fn`s**: Rust has none. `#[resilient(dyn)]` makes one type to store.
/// - **`#[cfg_attr(…, call(…))]`, macros among the trait's items, and `unsafe` traits**: the first two cannot be seen through, no
///   client can vouch for the third.
/// - With `errors = "wrapped"`, lifetimes bound to each other (`'a: 'b`, a trait with a lifetime of its own)
///   run into a limit of the compiler where the caller's future has to be `Send` (rust-lang/rust#100013).
///
/// A default body runs in the service: to the guards it is one call, and what it calls on `self` is not
/// guarded again.
///
/// # Errors
///
/// Every mistake is a compile error at its token, and all of them are reported at once.
#[proc_macro_attribute]
pub fn resilient(args: TokenStream, item: TokenStream) -> TokenStream {
    resilient::resilient(args.into(), item.into()).into()
}

/// Makes attempts of a function until one succeeds, with backoffs between.
///
/// ```
/// use std::io;
/// use std::sync::LazyLock;
/// use std::time::Duration;
/// use seawall::retry::{Backoff, Config};
///
/// static RETRIES: LazyLock<Config> = LazyLock::new(|| {
///     let config = Config::builder().max_attempts(5).base_delay(Duration::from_millis(100));
///     config.build().expect("in range")
/// });
///
/// fn is_transient(error: &io::Error) -> bool {
///     error.kind() == io::ErrorKind::ConnectionReset
/// }
///
/// #[seawall::retry(*RETRIES, when = is_transient, within = "2s")]
/// async fn order(number: u64) -> io::Result<String> {
///     // …
///     Ok(format!("order {number}"))
/// }
///
/// #[seawall::retry(Config::default())]
/// fn read(path: &std::path::Path) -> io::Result<String> {
///     std::fs::read_to_string(path)
/// }
/// ```
///
/// The function is `async` or blocks; its backoffs do the same. It returns a `Result`, and an error is retried; its body must
/// be safe to repeat. Every attempt gets clones of the arguments, so what is not a reference has to be `Clone`, and each needs a name.
/// A method takes `&self`.
///
/// | argument | what it is | default |
/// | --- | --- | --- |
/// | the first | an expression of type `seawall::retry::Config`, or that derefs to it | must be given |
/// | `when` | a function from `&E` to `bool`: which errors are worth another attempt | all |
/// | `retry_after` | a function from `&E` to `Option<Duration>`: for how long the server has asked to be left alone | none |
/// | `budget` | a `seawall::retry::Budget` that is shared with others | none |
/// | `within` | how long after the first attempt the last one may begin, like `"2s"` | no limit |
///
/// It is `seawall::retry(config, || …)` in another form, whose documents say the rest. For the methods of a service take a
/// client by `#[resilient]`, which has a breaker and a deadline beside its retries.
#[proc_macro_attribute]
pub fn retry(args: TokenStream, item: TokenStream) -> TokenStream {
    retry::retry(args.into(), item.into()).into()
}

/// What `#[resilient(with(…))]` calls for each part. Not for use by hand.
#[doc(hidden)]
#[proc_macro]
pub fn resilient_part(input: TokenStream) -> TokenStream {
    resilient::resilient_part(input.into()).into()
}
