//! What the script `lease` does, step by step, at moments of our choice.

use redis::{Connection, cmd};

use super::server::Server;

const LEASE: &str = concat!(
    include_str!("../../framework/src/distributed/redis/lua/algorithms.lua"),
    include_str!("../../framework/src/distributed/redis/lua/lease.lua"),
);
const BOARD: &str = concat!(
    include_str!("../../framework/src/distributed/redis/lua/algorithms.lua"),
    include_str!("../../framework/src/distributed/redis/lua/board.lua"),
);
const BEAT: &str = concat!(
    include_str!("../../framework/src/distributed/redis/lua/algorithms.lua"),
    include_str!("../../framework/src/distributed/redis/lua/beat.lua"),
);
/// At the beginning of a window of ten seconds.
const NOW: u64 = 1_790_000_000_000_000;
const SECOND: u64 = 1_000_000;
/// Windows of ten seconds.
const WINDOW: u64 = NOW / (10 * SECOND);

/// 100 at once, 10 a second.
const BUCKET: (&str, [u64; 3]) = ("bucket", [100, SECOND / 10, 0]);
const SLIDING: (&str, [u64; 3]) = ("sliding", [100, 10 * SECOND, 0]);
const FIXED: (&str, [u64; 3]) = ("fixed", [100, 10 * SECOND, 0]);
const LOG: (&str, [u64; 3]) = ("log", [100, 10 * SECOND, 0]);

struct Ask {
    at: u64,
    known: String,
    wanted: u64,
    returned: u64,
    /// The window, what was granted in it, and in the one before.
    granted: [u64; 3],
}

impl Ask {
    fn new(at: u64, wanted: u64) -> Self {
        Self { at, known: String::new(), wanted, returned: 0, granted: [0; 3] }
    }

    fn knows(mut self, epoch: i64, granted: [u64; 3]) -> Self {
        self.known = epoch.to_string();
        self.granted = granted;
        self
    }

    fn returns(mut self, returned: u64) -> Self {
        self.returned = returned;
        self
    }
}

/// Moment, epoch, granted, wait, window, left.
fn lease(connection: &mut Connection, limit: (&str, [u64; 3]), ask: &Ask) -> Vec<i64> {
    let mut command = cmd("EVAL");
    command.arg(LEASE).arg(2).arg("state").arg("leases").arg(ask.at).arg("");
    command.arg(limit.0).arg(&limit.1).arg("i1").arg(&ask.known).arg(SECOND);
    command.arg(ask.wanted).arg(ask.returned).arg(&ask.granted).arg(0);
    command.query(connection).unwrap()
}

fn flush(connection: &mut Connection) {
    let _: () = cmd("FLUSHALL").query(connection).unwrap();
}

#[test]
fn a_limit_that_nobody_knew_is_granted_at_once_and_in_parts() {
    let server = Server::start();
    let mut connection = server.connection();
    for limit in [BUCKET, SLIDING, FIXED, LOG] {
        flush(&mut connection);
        let first = lease(&mut connection, limit, &Ask::new(NOW, 60));
        assert_eq!(first[2..4], [60, 0], "{limit:?}");
        assert_eq!(first[5], 40);
        // Less than is wanted, and when half of that is there.
        let known = Ask::new(NOW, 60).knows(first[1], [0; 3]);
        let second = lease(&mut connection, limit, &known);
        assert_eq!((second[2], second[5]), (40, 0), "{limit:?}");
        let wait = if limit == BUCKET { 3 * SECOND } else { 10 * SECOND };
        let is_sliding = limit == SLIDING;
        assert!(second[3] as u64 == wait || is_sliding && second[3] as u64 > wait, "{second:?}");
    }
}

#[test]
fn what_is_given_back_is_there_again_unless_its_window_is_over() {
    let server = Server::start();
    let mut connection = server.connection();
    for (limit, left) in [(BUCKET, 70), (SLIDING, 70), (FIXED, 70), (LOG, 40)] {
        flush(&mut connection);
        let first = lease(&mut connection, limit, &Ask::new(NOW, 60));
        let back = Ask::new(NOW, 0).knows(first[1], [WINDOW, 60, 0]).returns(30);
        assert_eq!(lease(&mut connection, limit, &back)[5], left, "{limit:?}");
    }
    flush(&mut connection);
    let first = lease(&mut connection, FIXED, &Ask::new(NOW, 60));
    lease(&mut connection, FIXED, &Ask::new(NOW + 10 * SECOND, 50).knows(first[1], [0; 3]));
    let late = Ask::new(NOW + 10 * SECOND, 0).knows(first[1], [WINDOW, 60, 0]).returns(30);
    assert_eq!(lease(&mut connection, FIXED, &late)[5], 50, "of a window that is over");
}

#[test]
fn a_bucket_that_was_lost_is_empty_and_nothing_is_granted_for_a_lease() {
    let server = Server::start();
    let mut connection = server.connection();
    // Known before, and the server knows nothing.
    let told = |at| Ask::new(at, 30).knows(7, [0; 3]);
    let lost = lease(&mut connection, BUCKET, &told(NOW));
    assert_eq!(lost[2..4], [0, SECOND as i64]);
    assert_eq!(lost[5], 0);
    // The second to tell of it empties nothing again, and still nothing is granted.
    let second = lease(&mut connection, BUCKET, &told(NOW + SECOND / 2));
    assert_eq!(second[2..4], [0, SECOND as i64 / 2]);
    assert_eq!(second[5], 5);
    let after = Ask::new(NOW + SECOND, 30).knows(lost[1], [0; 3]);
    assert_eq!(lease(&mut connection, BUCKET, &after)[2], 10, "what has come back since");
}

#[test]
fn a_window_that_was_lost_is_as_full_as_those_say_who_knew_it() {
    let server = Server::start();
    let mut connection = server.connection();
    for (limit, before) in [(FIXED, 0), (SLIDING, 18), (LOG, 20)] {
        flush(&mut connection);
        // A second into the window: of the one before nine tenths count.
        let at = NOW + SECOND;
        let lost = lease(&mut connection, limit, &Ask::new(at, 30).knows(7, [WINDOW, 30, 20]));
        assert_eq!((lost[2], lost[3]), (0, SECOND as i64), "{limit:?}");
        assert_eq!(lost[5], 100 - 30 - before, "{limit:?}");
        // Another instance, which has granted in a window that is over.
        let stale = Ask::new(at, 30).knows(7, [WINDOW - 5, 40, 40]);
        let told = lease(&mut connection, limit, &stale)[5];
        let logged = if limit == LOG { 80 } else { 0 };
        assert_eq!(told, (lost[5] - logged).max(0), "{limit:?}");
    }
}

#[test]
fn a_server_whose_clock_was_set_back_listens_no_longer_than_a_lease() {
    let server = Server::start();
    let mut connection = server.connection();
    lease(&mut connection, BUCKET, &Ask::new(NOW, 30).knows(7, [0; 3]));
    let back = NOW - 60 * SECOND;
    let told = lease(&mut connection, BUCKET, &Ask::new(back, 30).knows(NOW as i64, [0; 3]));
    assert_eq!(told[2..4], [0, SECOND as i64]);
}

#[test]
fn an_instance_that_gives_no_sign_of_life_is_not_counted() {
    let server = Server::start();
    let mut connection = server.connection();
    let mut beat = |at: u64, instance: &str, alive: u64| -> Vec<i64> {
        let mut command = cmd("EVAL");
        command.arg(BEAT).arg(1).arg("instances").arg(at).arg("").arg(instance).arg(alive);
        command.query(&mut connection).unwrap()
    };
    let told = |at: u64, count, place| vec![at as i64, count, place];
    assert_eq!(beat(NOW, "b", 3 * SECOND), told(NOW, 1, 0));
    assert_eq!(beat(NOW, "a", 3 * SECOND), told(NOW, 2, 0));
    assert_eq!(beat(NOW + SECOND, "b", 3 * SECOND), told(NOW + SECOND, 2, 1));
    let later = NOW + 3 * SECOND + 1;
    assert_eq!(beat(later, "b", 3 * SECOND), told(later, 1, 0));
    assert_eq!(beat(later, "c", 3 * SECOND), told(later, 2, 1));
    // One that goes says so.
    assert_eq!(beat(later, "b", 0), told(later, 1, 0));
}

/// Moment, others in which it is open, how long that holds, who probes, how long ago it was closed for all.
fn board(
    connection: &mut Connection,
    at: u64,
    instance: &str,
    word: &str,
    probes: u64,
) -> Vec<i64> {
    let mut command = cmd("EVAL");
    command.arg(BOARD).arg(3).arg(&["open", "prober", "closed"]).arg(at).arg("");
    command.arg(instance).arg(word).arg(2 * SECOND).arg(probes);
    command.query(connection).unwrap()
}

#[test]
fn the_board_knows_who_has_opened_and_who_probes() {
    let server = Server::start();
    let mut connection = server.connection();
    let now = |at, numbers: [i64; 4]| [vec![at as i64], numbers.to_vec()].concat();
    assert_eq!(board(&mut connection, NOW, "a", "open", 0), now(NOW, [0, 0, 0, -1]));
    let two = 2 * SECOND as i64;
    assert_eq!(board(&mut connection, NOW, "b", "look", 0), now(NOW, [1, two, 0, -1]));
    // The first to ask probes; it can give its place up.
    assert_eq!(board(&mut connection, NOW, "b", "look", SECOND)[3], 1);
    assert_eq!(board(&mut connection, NOW, "a", "look", SECOND)[3], 2);
    assert_eq!(board(&mut connection, NOW, "b", "look", 0)[3], 0);
    assert_eq!(board(&mut connection, NOW, "a", "look", SECOND)[3], 1);
    // Who does not probe closes for itself alone.
    assert_eq!(board(&mut connection, NOW, "b", "open", 0)[1], 1);
    assert_eq!(board(&mut connection, NOW, "b", "closed", 0)[4], -1);
    assert_eq!(board(&mut connection, NOW, "a", "closed", 0), now(NOW, [0, 0, 0, 0]));
    let later = NOW + SECOND;
    assert_eq!(board(&mut connection, later, "b", "look", 0), now(later, [0, 0, 0, SECOND as i64]));
    // What nobody repeats is over.
    board(&mut connection, later, "a", "open", 0);
    assert_eq!(board(&mut connection, later + 2 * SECOND + 1, "b", "look", 0)[1], 0);
}
