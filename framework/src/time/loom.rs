//! The driver's wake-up under the model checker.

use std::sync::Arc;

use loom::thread;

use super::driver::Rescan;
use crate::sync::{AtomicU64, Mutex, Ordering, model};

/// What `unpark` leaves and `park` takes, the driver's visit, and the flag under test.
#[derive(Default)]
struct Driver {
    rescan: Rescan,
    visit: Mutex<u64>,
    token: Token,
}

struct Token(AtomicU64);

impl Default for Token {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Token {
    fn unpark(&self) {
        self.0.swap(1, Ordering::SeqCst);
    }

    /// Takes the token, as `park` does. False: there was none, so `park` would sleep.
    fn take(&self) -> bool {
        self.0.swap(0, Ordering::SeqCst) == 1
    }
}

#[test]
fn a_waker_that_parks_the_driver_takes_no_wake_up_from_it() {
    model("driver: a visit is moved forward while a waker parks", || {
        let driver = Arc::new(Driver::default());
        let registrar = Arc::clone(&driver);
        // As `register` does.
        let registering = thread::spawn(move || {
            *registrar.visit.lock() = 1;
            registrar.rescan.ask();
            registrar.token.unpark();
        });
        // As `run` does, with a waker that parks its thread once.
        driver.rescan.begin();
        let visit = *driver.visit.lock();
        driver.token.take();
        let sleeps = !driver.rescan.is_asked();
        registering.join().unwrap();
        let woken = driver.token.take();
        assert!(!sleeps || woken || visit == 1, "sleeps for ever on a stale visit");
    });
}
