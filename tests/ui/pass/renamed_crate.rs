//! `crate = "path"`: seawall under another name.
#![deny(warnings)]

mod vendor {
    pub(super) extern crate seawall as guards;
}

#[vendor::guards::resilient(crate = "self::vendor::guards")]
trait Named {
    #[call(idempotent)]
    async fn name(&self, of: String) -> std::io::Result<String>;
}

struct It;
impl Named for It {
    async fn name(&self, of: String) -> std::io::Result<String> {
        Ok(of)
    }
}

pub(crate) fn main() {
    let _ = (It, NamedClient::<It>::name, NamedClient::<It>::spawn);
}
