//! A dependency as a member of a fleet.

use crate::bulkhead::Permits;

use super::fleet::{FleetMember, FleetSeat};
use super::shared::Dependency;

impl FleetMember for Dependency {
    fn name(&self) -> &str {
        self.name()
    }

    fn permits(&self) -> &Permits {
        self.gate().waiting_room().permits()
    }

    fn sit(&self, seat: FleetSeat) -> bool {
        self.gate().seat(seat)
    }
}
