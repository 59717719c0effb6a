//! Ports that no other test uses meanwhile.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

/// Below the kernel's range for outgoing connections.
const PORT_RANGE: std::ops::Range<u16> = 20_000..25_000;

/// A free port of 127.0.0.1, reserved for this test (also against other processes) by a file lock until it is
/// dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a free port.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn reserve() -> Self {
        let span = PORT_RANGE.end - PORT_RANGE.start;
        let random =
            u16::try_from(uuid::Uuid::new_v4().as_u128() % u128::from(span)).expect("less than the span");
        (0..span)
            .map(|step| PORT_RANGE.start + (random + step) % span)
            .find_map(Self::try_lock)
            .expect("a free port between 20000 and 25000")
    }

    fn try_lock(number: u16) -> Option<Self> {
        let file = OpenOptions::new().create(true).append(true).open(lock_path(number)).ok()?;
        file.try_lock().ok()?;
        TcpListener::bind(("127.0.0.1", number)).ok()?;
        Some(Self { number, _lock: file })
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Returns `127.0.0.1` with this port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.number))
    }
}

fn lock_path(number: u16) -> PathBuf {
    let dir = std::env::temp_dir().join("postrider-e2e-ports");
    let _ = std::fs::create_dir_all(&dir);
    dir.join(number.to_string())
}
