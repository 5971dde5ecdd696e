//! Calls as spans, exported by OTLP: `cargo run -p seawall-client-examples --example traces`.
//!
//! A collector on loopback stands in for yours: set `OTEL_EXPORTER_OTLP_ENDPOINT` to send the spans there instead.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prost::Message;
use seawall::prelude::*;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing_subscriber::layer::SubscriberExt;

#[resilient]
trait Bank {
    #[call(idempotent)]
    async fn balance(&self, account: &str) -> io::Result<u64>;
}

/// Its first attempt fails.
#[derive(Default)]
struct Flaky(AtomicU32);

impl Bank for Flaky {
    async fn balance(&self, _: &str) -> io::Result<u64> {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            _ => Ok(100),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (endpoint, mut collected) = match std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT") {
        Ok(endpoint) => (endpoint, None),
        Err(_) => {
            let (endpoint, collected) = collector().await?;
            (endpoint, Some(collected))
        }
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .with_timeout(Duration::from_secs(5));
    // It makes a client of its own, which must not be made in a task.
    let exporter = tokio::task::spawn_blocking(|| exporter.build()).await??;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bank"));
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing_subscriber::util::SubscriberInitExt::try_init(subscriber)?;

    let policy = r#"bank = { retry = { base_delay = "10ms" } }"#;
    let seawall = Seawall::builder().policy_text("traces.toml", policy).spans(true).start()?;
    let bank: BankClient<Flaky> = seawall.spawn("bank", Flaky::default()).await?;
    println!("balance: {}", bank.balance("alice").await?);

    // Sends what is left.
    tokio::task::spawn_blocking(move || provider.shutdown()).await??;
    if let Some(collected) = &mut collected {
        let mut spans = Vec::new();
        while let Ok(span) = collected.try_recv() {
            spans.push(span);
        }
        spans.sort_by_key(|span| span.start_time_unix_nano);
        for span in &spans {
            println!("{}", line(span, &spans));
        }
    }
    seawall.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

/// A collector that keeps what it is sent.
async fn collector() -> Result<(String, mpsc::UnboundedReceiver<Span>), Box<dyn Error>> {
    let (sender, collected) = mpsc::unbounded_channel();
    let take = move |body: Bytes| async move {
        let Ok(request) = ExportTraceServiceRequest::decode(body) else { return };
        let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        for span in scopes.flat_map(|spans| spans.spans) {
            // The example may have ended.
            let _ = sender.send(span);
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let app = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok((endpoint, collected))
}

/// A span in one line: its name, whose child it is, and what Seawall says of it.
fn line(span: &Span, all: &[Span]) -> String {
    let parent = all.iter().find(|parent| parent.span_id == span.parent_span_id);
    let below = parent.map(|parent| format!(" below {}", parent.name)).unwrap_or_default();
    let shown = ["attempt", "attempts", "outcome", "error.type", "http.request.resend_count"];
    let fields = span.attributes.iter().filter(|field| shown.contains(&field.key.as_str()));
    let fields = fields.map(|field| {
        let value = field.value.as_ref().and_then(|value| value.value.as_ref());
        format!("{}={}", field.key, value.map(text).unwrap_or_default())
    });
    format!("{}{below}: {}", span.name, fields.collect::<Vec<_>>().join(" "))
}

fn text(value: &opentelemetry_proto::tonic::common::v1::any_value::Value) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}
