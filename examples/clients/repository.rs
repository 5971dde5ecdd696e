//! A repository as services have it: a trait with `#[async_trait]`, SQLite behind it, and an `Arc<dyn Orders>` in axum's
//! state. `#[resilient]`, `From<Fault>` and `spawn` are what Seawall adds; routes and repository stay as they were.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use seawall::{Class, Fault, Seawall, resilient};
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;

#[resilient(classify = class)]
#[async_trait]
trait Orders: Send + Sync {
    async fn add(&self, article: &str) -> Result<i64, OrderError>;
    #[call(idempotent, timeout = "300ms")]
    async fn article(&self, order: i64) -> Result<String, OrderError>;
}

#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("there is no such order")]
    NotFound,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Unavailable(#[from] Fault),
}

/// What was not found, or breaks a rule of the schema, says nothing about the database.
fn class<T>(answer: &Result<T, OrderError>) -> Class {
    match answer {
        Ok(_) => Class::Success,
        Err(OrderError::NotFound) => Class::Ignored,
        Err(OrderError::Database(sqlx::Error::Database(error)))
            if error.is_unique_violation() || error.is_check_violation() =>
        {
            Class::Ignored
        }
        Err(_) => Class::Failure,
    }
}

// ---- as it was before ----

struct Sqlite(SqlitePool);

#[async_trait]
impl Orders for Sqlite {
    async fn add(&self, article: &str) -> Result<i64, OrderError> {
        let added = sqlx::query("INSERT INTO orders (article) VALUES (?)").bind(article);
        Ok(added.execute(&self.0).await?.last_insert_rowid())
    }

    async fn article(&self, order: i64) -> Result<String, OrderError> {
        let article = sqlx::query_scalar("SELECT article FROM orders WHERE id = ?").bind(order);
        article.fetch_optional(&self.0).await?.ok_or(OrderError::NotFound)
    }
}

async fn add(
    State(orders): State<Arc<dyn Orders>>,
    article: String,
) -> Result<Response, OrderError> {
    let order = orders.add(&article).await?;
    Ok((StatusCode::CREATED, Json(order)).into_response())
}

async fn article(
    State(orders): State<Arc<dyn Orders>>,
    Path(order): Path<i64>,
) -> Result<String, OrderError> {
    orders.article(order).await
}

impl IntoResponse for OrderError {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND.into_response(),
            Self::Database(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            // 503 with `Retry-After`, or 504.
            Self::Unavailable(fault) => fault.into_response(),
        }
    }
}

fn routes(orders: Arc<dyn Orders>) -> Router {
    let app = Router::new().route("/orders", post(add)).route("/orders/{order}", get(article));
    app.with_state(orders)
}

async fn open() -> Result<SqlitePool, sqlx::Error> {
    // A database in memory is one connection's own.
    let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await?;
    let schema = "CREATE TABLE orders (id INTEGER PRIMARY KEY, article TEXT CHECK (article <> ''))";
    sqlx::query(schema).execute(&pool).await?;
    Ok(pool)
}

// ---- and now ----

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seawall = Seawall::builder().start()?;
    let orders: OrdersClient<_> = seawall.spawn("orders", Sqlite(open().await?)).await?;
    let address = serve(routes(Arc::new(orders))).await?;

    let client = reqwest::Client::builder().retry(reqwest::retry::never()).no_proxy().build()?;
    let url = format!("http://{address}/orders");
    let added = client.post(&url).body("hammer").send().await?;
    println!("POST /orders      {} {}", added.status(), added.text().await?);
    let show = async |when: &str, path: &str| -> Result<(), reqwest::Error> {
        let response = client.get(format!("{url}/{path}")).send().await?;
        let retry_after = response.headers().contains_key("retry-after");
        println!("GET /orders/{path}  {when}: {}, Retry-After: {retry_after}", response.status());
        Ok(())
    };
    show("while it is well", "1").await?;
    show("while it is well", "2").await?;
    let dependency = seawall.dependency("orders").ok_or("it was spawned")?;
    dependency.force_open().await?;
    show("refused by an operator", "1").await?;
    dependency.reset().await?;
    show("after a reset", "1").await?;
    seawall.shutdown(Duration::from_secs(1)).await;
    show("after the shutdown", "1").await?;
    Ok(())
}

async fn serve(app: Router) -> Result<SocketAddr, std::io::Error> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
