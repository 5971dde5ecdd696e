use std::io;

use seawall::Class;

#[seawall::resilient]
trait Payments {
    #[call(classify = class)]
    async fn balance(&self) -> io::Result<u64>;
}

fn class(_: &u64) -> Class {
    Class::Success
}

fn main() {}
