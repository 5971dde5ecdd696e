#[cfg(feature = "http")]
mod http;
mod io;
