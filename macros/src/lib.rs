//! The `#[resilient]` attribute: turns a trait of async methods into a guarded client.
//! Use it through the `seawall` crate, which re-exports it.

mod resilient;

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
/// - **The trait**, with `Send + Sync` as supertraits and every `async fn m(…) -> R` rewritten to
///   `fn m(…) -> impl Future<Output = R> + Send`, so that a call can be spawned from generic code. Impls
///   still write `async fn`. A default body stays one.
/// - **`PaymentsClient<S>`**, as visible as the trait, `S` being the service (the trait's own parameters
///   follow it: `RepoClient<S, T>`). It is two pointers: `Clone`, `Debug`, `Send` and `Sync` whatever `S`
///   can. It implements `Payments`, so it stands wherever the service could, in tests and in front of
///   another client too. It implements `seawall::client::Proxy`, so that
///   `seawall.spawn::<PaymentsClient<_>>(name, service)` can make it.
/// - **`PaymentsClient::spawn(&seawall, name, service)`**, the same thing the other way round, and
///   **`client.service()`**, the service without the guards.
///
/// A call runs in the caller's task: nothing is boxed, moved to another task or allocated, and arguments
/// may borrow. Dropping the future cancels the call. A panic of the service goes through to the caller.
///
/// # Options of `#[resilient(…)]`
///
/// | option | meaning | default |
/// | --- | --- | --- |
/// | `fault_with = path` | `fn(Fault) -> E`: makes your error of Seawall's own answers. For error types that are not yours; generic if the methods' errors differ. | `E: From<seawall::Fault>` |
/// | `errors = "wrapped"` | The client does not implement the trait. It has inherent methods of the same names that return `Result<T, CallError<E>>`, which keeps faults and errors apart. Methods that are not async stay with `client.service()`. Not together with `fault_with`. | the client implements the trait |
/// | `client = Name` | The client's name. | the trait's, with `Client` behind it |
/// | `crate = "path"` | Where the `seawall` crate is found, if it was renamed. | `::seawall` |
///
/// # Keys of `#[call(…)]`
///
/// On an async method. What a policy says about the method goes over it. Several attributes are read as one.
///
/// | key | meaning | default |
/// | --- | --- | --- |
/// | `idempotent` | A second attempt does no harm. Without it nothing is ever retried, whatever a policy says. References are lent again to each attempt; values are cloned, and have to be `Clone`. | one attempt |
/// | `timeout = "300ms"` | How long one attempt may take; read while compiling. Units as in policy files: `"1m 30s"`, `"1.5s"`. Above zero. | the policy's |
/// | `retry = 3` | How many attempts at most, the first included; at least 1. Needs `idempotent`. | the policy's |
/// | `retry(max_attempts = 3, when = path)` | The same, with `fn(&E) -> bool`: true for an error worth another attempt. Either can be left out. | every failure is worth it |
/// | `fallback = path` | `async fn(&S, &CallError<E>, arguments…) -> R`: answers when the call ends in a fault or in an error that counts as a failure. Generic over the service (`S: Payments`), since the client is. Its errors are the call's. | the fault or error is the answer |
/// | `classify = path` | `fn(&R) -> Class`: what an answer says about the dependency's health, `R` being what the method returns. | `Ok` is a success, `Err` a failure |
/// | `skip` | Passed straight on to the service, unguarded. Not together with any other key. | guarded |
///
/// # What is kept
///
/// Documents, `cfg` on the trait, its methods, arguments and associated items, other attributes of the
/// trait, generics, `where` clauses, lifetimes, patterns, visibility. Associated types and constants of the
/// client are the service's. A method that is not async is passed on to the service; where that cannot be
/// (it takes `self` or `&mut self`, is `unsafe`, or has `Self` in its signature) it keeps the body that the
/// trait gives it, and has to have one.
///
/// # What is not supported, and why
///
/// - **An async method without `&self`**: one service is shared by all calls.
/// - **An async method that does not return a `Result`** (under any name: aliases work): a refused call
///   could not say so. `skip` leaves it unguarded.
/// - **`impl Trait` as the answer of a guarded method**: its error could not be named. `skip` allows it.
/// - **`Self` in an async method's signature**: it is the service to its implementor and the client to its
///   callers. Associated types (`Self::Item`) are fine.
/// - **`&mut T` and `impl Trait` arguments of an `idempotent` method or one with a fallback**: the first may
///   have been changed by an attempt, the second cannot be seen to be `Clone`. `&impl Trait` is fine.
/// - **Methods called `spawn`, `service` or `clone`**: the client has its own.
/// - **A supertrait other than `Send`, `Sync`, `Clone`, `Debug` and lifetimes**, unless you implement it for
///   the client: `impl<S: Payments> Display for PaymentsClient<S> { … }`.
/// - **`dyn Payments`**: traits with async methods are not dyn-compatible in Rust. Be generic instead.
/// - **Futures that are not `Send`**, arguments included: `T: Send` on a method's own type parameters. With a
///   fallback, `&CallError<E>` and cloned arguments are held over an await, so `E` and they are `Sync`.
/// - **`#[cfg_attr(…, call(…))]`, macros among the trait's items, `unsafe` traits and `async_trait`**: the
///   first two cannot be seen through, no client can vouch for the third, the last does the same job.
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
