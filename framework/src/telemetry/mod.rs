//! stub
#![allow(missing_docs)]
#[derive(Debug)]
pub struct Tracing;
impl crate::event::Observer for Tracing {
    fn on_event(&self, _: &crate::event::Event) {}
}
#[derive(Debug)]
pub struct Exporter;
impl Exporter {
    pub fn new() -> Self {
        Self
    }
    pub fn render(&self, _: Vec<crate::call::Snapshot>) -> String {
        String::new()
    }
}
#[derive(Debug)]
pub struct Server;
impl Server {
    pub fn bind(_: &str, _: impl Fn() -> String + Send + Sync + 'static) -> std::io::Result<Self> {
        Ok(Self)
    }
    pub fn local_addr(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }
    pub fn shutdown(&self) {}
}
