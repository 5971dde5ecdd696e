use std::io;

#[seawall::resilient(classify = "class", retry_after = |_| None)]
trait Payments {
    async fn balance(&self) -> io::Result<u64>;
}

#[seawall::resilient(classify, retry_after(path))]
trait Prices {
    async fn of(&self) -> io::Result<u64>;
}

#[seawall::resilient(classify = a, classify = b, timeout = "1s")]
trait Stock {
    #[call(retry_after = 7)]
    async fn left(&self) -> io::Result<u64>;
}

fn main() {}
