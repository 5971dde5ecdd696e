use seawall::retry::Config;

#[seawall::retry]
async fn without_settings() -> Result<(), u32> {
    Ok(())
}

#[seawall::retry(when = is_late)]
async fn without_a_config() -> Result<(), u32> {
    Ok(())
}

#[seawall::retry(Config::default(), wen = is_late, 3, within = 5, when = is_late, when = is_late)]
async fn with_keys_that_are_none() -> Result<(), u32> {
    Ok(())
}

fn is_late(_: &u32) -> bool {
    true
}

#[seawall::retry(Config::default())]
async fn without_an_answer() {}

#[seawall::retry(Config::default())]
async fn with_a_pattern((_, _): (u32, u32)) -> Result<(), u32> {
    Ok(())
}

#[seawall::retry(Config::default())]
struct NoFunction;

struct Shop;

impl Shop {
    #[seawall::retry(Config::default())]
    async fn sell(&mut self) -> Result<(), u32> {
        Ok(())
    }

    #[seawall::retry(Config::default())]
    async fn close(self) -> Result<(), u32> {
        Ok(())
    }
}

fn main() {}
