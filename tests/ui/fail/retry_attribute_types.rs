use seawall::retry::Config;

#[seawall::retry("3 times")]
async fn of_another_config() -> Result<(), u32> {
    Ok(())
}

struct NotClone;

#[seawall::retry(Config::default())]
async fn uses_up(_it: NotClone) -> Result<(), u32> {
    Ok(())
}

#[seawall::retry(Config::default(), when = is_late)]
async fn of_another_error() -> Result<(), u32> {
    Ok(())
}

fn is_late(_: &String) -> bool {
    true
}

fn main() {}
