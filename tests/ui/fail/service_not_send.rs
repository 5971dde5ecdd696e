use std::io;
use std::rc::Rc;

#[seawall::resilient]
trait Payments {
    async fn charge(&self) -> io::Result<()>;
}

struct Held;
impl Payments for Held {
    async fn charge(&self) -> io::Result<()> {
        let held = Rc::new(());
        std::future::ready(()).await;
        drop(held);
        Ok(())
    }
}

struct Local(Rc<()>);
impl Payments for Local {
    async fn charge(&self) -> io::Result<()> {
        Ok(())
    }
}

fn main() {}
