//! `cfg_attr(…, trait_variant::make(Send))`; `-> impl Future` without Send; Box<dyn Error + Send + Sync + 'static>; no supertraits.
use super::pre::*;

#[resilient]
#[cfg_attr(not(target_arch = "wasm32"), trait_variant::make(Send))]
pub trait Mailer {
    fn post(
        &self,
        letter: Vec<u8>,
    ) -> impl Future<
        Output = core::result::Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync + 'static>>,
    >;
}

struct Van;
impl Mailer for Van {
    async fn post(
        &self,
        _: Vec<u8>,
    ) -> core::result::Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync + 'static>> {
        hit!(Ok(vec![]))
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: MailerClient<Van> = seawall.spawn("it", Van).await.unwrap();
    let look = Look::at(&seawall);
    look.method("post", || it.post(vec![])).await;
}
