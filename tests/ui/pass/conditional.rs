//! `cfg` on the trait, on methods, on arguments: an index always belongs to the method of its name.
#![deny(warnings)]

use std::io;

use seawall::client::Proxy;
use seawall::resilient;

#[resilient]
#[cfg(not(windows))]
trait Files {
    #[cfg(windows)]
    async fn registry(&self, key: Missing) -> Missing;
    async fn read(&self, #[cfg(windows)] key: Missing, path: &str) -> io::Result<u8>;
    #[cfg(windows)]
    #[call(timeout = "1s")]
    async fn twice(&self) -> Missing;
    #[cfg(not(windows))]
    #[call(timeout = "1m 2s 3ns", idempotent, retry = 4)]
    async fn twice(&self) -> io::Result<u8>;
    #[cfg(windows)]
    fn missing(&self) -> Missing;
    #[cfg(windows)]
    type Missing;
    #[cfg(windows)]
    const MISSING: Missing;
}

#[resilient]
#[cfg(windows)]
trait Gone {
    async fn gone(&self) -> Missing;
}

struct Disk;
impl Files for Disk {
    async fn read(&self, path: &str) -> io::Result<u8> {
        path.parse().map_err(io::Error::other)
    }
    async fn twice(&self) -> io::Result<u8> {
        Ok(2)
    }
}

pub(crate) fn main() {
    let methods = FilesClient::<Disk>::METHODS;
    assert_eq!(methods.iter().map(|method| method.name).collect::<Vec<_>>(), ["read", "twice"]);
    let twice = methods[1];
    assert_eq!(twice.timeout, Some(std::time::Duration::new(62, 3)));
    assert_eq!((twice.max_attempts, twice.idempotent, twice.fallback), (Some(4), true, false));
    assert_eq!(
        (methods[0].timeout, methods[0].max_attempts, methods[0].idempotent),
        (None, None, false)
    );
    let _ = (Disk.read("1"), Disk.twice());
}
