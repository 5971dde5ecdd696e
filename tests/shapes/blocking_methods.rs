//! A synchronous trait of a database, used as `dyn`; a boxed trait whose implementation blocks; `self: Arc<Self>`; generic, with a default body.
use super::pre::*;
use std::sync::Arc;

#[derive(Debug)]
pub enum DbError {
    Gone(String),
}
impl From<Fault> for DbError {
    fn from(fault: Fault) -> Self {
        Self::Gone(fault.to_string())
    }
}
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub u64);

#[resilient]
pub trait Rows: Send + Sync {
    #[call(blocking)]
    fn find(&self, table: &str, key: &Row) -> Result<Option<Row>, DbError>;
    #[call(blocking, idempotent)]
    fn all(&self, keys: &[u64], limit: Option<u32>) -> Result<Vec<Row>, DbError> {
        let mut rows = Vec::new();
        for key in keys.iter().take(limit.unwrap_or(1) as usize) {
            rows.extend(self.find("all", &Row(*key))?);
        }
        Ok(rows)
    }
    #[call(blocking)]
    fn own(self: Arc<Self>, row: Row) -> Result<Row, DbError>;
}

struct Sqlite;
impl Rows for Sqlite {
    fn find(&self, _: &str, key: &Row) -> Result<Option<Row>, DbError> {
        Ok(Some(key.clone()))
    }
    fn all(&self, keys: &[u64], _: Option<u32>) -> Result<Vec<Row>, DbError> {
        Ok(keys.iter().copied().map(Row).collect())
    }
    fn own(self: Arc<Self>, row: Row) -> Result<Row, DbError> {
        Ok(row)
    }
}

#[resilient]
#[async_trait]
pub trait Images: Send + Sync {
    #[call(blocking)]
    async fn shrink(&self, image: Vec<u8>, name: &str) -> Result<Vec<u8>, DbError>;
}
struct Cpu;
#[async_trait]
impl Images for Cpu {
    async fn shrink(&self, image: Vec<u8>, _: &str) -> Result<Vec<u8>, DbError> {
        Ok(image)
    }
}

#[resilient(errors = "wrapped")]
pub trait Cache<K: Clone + Send + 'static>: Send + Sync {
    #[call(blocking)]
    fn get(&self, key: &K) -> Result<u8, std::io::Error>;
}
struct Map;
impl Cache<String> for Map {
    fn get(&self, _: &String) -> Result<u8, std::io::Error> {
        Ok(1)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_is_guarded() {
    let seawall = start();
    let it: RowsClient<Sqlite> = seawall.spawn("it", Sqlite).await.unwrap();
    let look = Look::at(&seawall);
    look.answer("find", || async { format!("{:?}", it.find("t", &Row(1))) }).await;
    look.answer("all", || async { format!("{:?}", it.all(&[1], None)) }).await;
    look.answer("own", || async { format!("{:?}", Arc::new(it.clone()).own(Row(1))) }).await;
    let it: Arc<dyn Rows> = Arc::new(it);
    look.answer("find", || async { format!("{:?}", it.find("t", &Row(1))) }).await;
}

#[tokio::test]
async fn boxed_ones_are_guarded() {
    let seawall = start();
    let cpu: Arc<dyn Images> = Arc::new(Cpu);
    let it: ImagesClient<dyn Images> = seawall.spawn_arc("it", cpu).await.unwrap();
    Look::at(&seawall)
        .answer("shrink", || async { format!("{:?}", it.shrink(vec![1], "a").await) })
        .await;
}

#[tokio::test]
async fn wrapped_ones_are_guarded() {
    let seawall = start();
    let it: CacheClient<Map, String> = seawall.spawn("it", Map).await.unwrap();
    Look::at(&seawall).answer("get", || async { format!("{:?}", it.get(&"key".to_owned())) }).await;
}
