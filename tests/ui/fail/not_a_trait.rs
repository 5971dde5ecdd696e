#[seawall::resilient]
struct Payments;

fn main() {
    let _ = Payments;
}
