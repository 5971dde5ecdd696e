//! Async_trait; a generic associated type `type T<'a>: X where Self: 'a`; constructors in the trait, `-> Result<Self, _> where Self: Sized`; sync methods with a Result.
use super::pre::*;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{0}")]
    Other(String),
}
pub trait Cutter {
    fn cut(&self, text: &str) -> usize;
}

#[resilient(inherent)]
#[async_trait]
pub trait Runner {
    type Cutter<'a>: Cutter
    where
        Self: 'a;
    fn with_options(options: u8) -> Result<Self, RunError>
    where
        Self: Sized;
    fn new() -> Result<Self, RunError>
    where
        Self: Sized,
    {
        Self::with_options(0)
    }
    async fn run(&self, options: &u8, prompt: &str) -> Result<String, RunError>;
    fn most(&self, options: &u8) -> i32;
    fn cutter(&self, options: &u8) -> Result<Self::Cutter<'_>, RunError>;
}

struct Fast;
struct Knife<'a>(#[allow(dead_code)] &'a Fast);
impl Cutter for Knife<'_> {
    fn cut(&self, text: &str) -> usize {
        text.len()
    }
}
#[async_trait]
impl Runner for Fast {
    type Cutter<'a> = Knife<'a>;
    fn with_options(_: u8) -> Result<Self, RunError> {
        Ok(Fast)
    }
    async fn run(&self, _: &u8, _: &str) -> Result<String, RunError> {
        hit!(Ok(String::new()))
    }
    fn most(&self, _: &u8) -> i32 {
        1
    }
    fn cutter(&self, _: &u8) -> Result<Knife<'_>, RunError> {
        Ok(Knife(self))
    }
}
impl From<Fault> for RunError {
    fn from(fault: Fault) -> Self {
        Self::Other(fault.to_string())
    }
}

#[tokio::test]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: RunnerClient<Fast> = seawall.spawn("it", Fast::new().unwrap()).await.unwrap();
    let look = Look::at(&seawall);
    look.method("run", || it.run(&1, "a")).await;
}
