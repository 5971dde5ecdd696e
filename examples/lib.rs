//! Each example is a folder or a file beside this one: `cargo run --release --example NAME`.
