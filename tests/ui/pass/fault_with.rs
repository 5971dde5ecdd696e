//! `fault_with = path`: faults in the words of a foreign error type.
#![deny(warnings)]

use seawall::{Fault, resilient};

mod words {
    pub(super) fn told(fault: seawall::Fault) -> std::fmt::Error {
        drop(fault);
        std::fmt::Error
    }
}

#[resilient(fault_with = words::told)]
trait Writer {
    async fn write(&self, text: &str) -> std::fmt::Result;
    #[call(idempotent)]
    async fn flush(&self) -> Result<usize, std::fmt::Error>;
}

/// A function that serves more than one error type.
fn text<E: From<String>>(fault: Fault) -> E {
    fault.to_string().into()
}

#[resilient(fault_with = text)]
trait Talker {
    async fn talk(&self) -> Result<(), String>;
    async fn shout(&self) -> Result<(), Box<str>>;
}

struct Both;
impl Writer for Both {
    async fn write(&self, _: &str) -> std::fmt::Result {
        Ok(())
    }
    async fn flush(&self) -> Result<usize, std::fmt::Error> {
        Ok(1)
    }
}
impl Talker for Both {
    async fn talk(&self) -> Result<(), String> {
        Ok(())
    }
    async fn shout(&self) -> Result<(), Box<str>> {
        Ok(())
    }
}

async fn all(writer: WriterClient<Both>, talker: TalkerClient<Both>) {
    let _ =
        (writer.write("").await, writer.flush().await, talker.talk().await, talker.shout().await);
}

pub(crate) fn main() {
    let _ = (Both, all);
}
