//! What a policy is built of: settings, or builders of them.

use crate::constraint::InvalidSettings;
use crate::{backpressure, breaker, bulkhead, limit, retry};

/// Settings of type `C`, or a builder of them: [`Builder`](super::Builder) takes either, so that a builder's
/// mistakes are told together with all others. Sealed.
pub trait IntoConfig<C>: sealed::Sealed {
    /// The checked settings.
    ///
    /// # Errors
    /// Every setting that is out of range or contradicts another.
    fn into_config(self) -> Result<C, InvalidSettings>;
}

mod sealed {
    pub trait Sealed {}
}

impl<C> sealed::Sealed for Result<C, InvalidSettings> {}
impl sealed::Sealed for limit::Config {}

impl<C> IntoConfig<C> for Result<C, InvalidSettings> {
    fn into_config(self) -> Self {
        self
    }
}

macro_rules! into_config {
    ($($config:path, $builder:path;)*) => {$(
        impl sealed::Sealed for $config {}
        impl sealed::Sealed for $builder {}
        impl IntoConfig<$config> for $config {
            fn into_config(self) -> Result<Self, InvalidSettings> {
                Ok(self)
            }
        }
        impl IntoConfig<$config> for $builder {
            fn into_config(self) -> Result<$config, InvalidSettings> {
                self.build()
            }
        }
    )*};
}
into_config! {
    backpressure::Config, backpressure::Builder;
    backpressure::OneWayConfig, backpressure::OneWayBuilder;
    breaker::Config, breaker::Builder;
    breaker::Keys, breaker::KeysBuilder;
    bulkhead::Config, bulkhead::Builder;
    limit::PacerConfig, limit::PacerBuilder;
    retry::Config, retry::Builder;
}

impl IntoConfig<limit::Config> for limit::Config {
    fn into_config(self) -> Result<Self, InvalidSettings> {
        Ok(self)
    }
}
