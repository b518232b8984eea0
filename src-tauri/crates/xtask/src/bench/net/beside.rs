//! What happens beside the calls while they are measured: a bulk transfer over TCP, a camera that pauses.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::ours::sleep_until;
use super::profiles::Traffic;
use crate::bench::namespaces::{Lab, address};

const PORT: u16 = 7500;

/// Waits until `length` after `start`; in between does what the traffic asks for. `camera` switches the cameras of the first
/// call.
///
/// # Errors
/// When the transfer cannot be started, or a camera not switched.
pub fn wait_beside(
    lab: &Lab,
    traffic: Traffic,
    start: Instant,
    length: Duration,
    mut camera: impl FnMut(bool) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    match traffic {
        Traffic::CallAndTcp(from, to) if Duration::from_secs(from) < length => {
            sleep_until(start, Duration::from_secs(from));
            let transfer = Transfer::start(lab)?;
            sleep_until(start, Duration::from_secs(to).min(length));
            transfer.stop();
        }
        Traffic::Pausing(from, to) if Duration::from_secs(to) < length => {
            sleep_until(start, Duration::from_secs(from));
            camera(false)?;
            sleep_until(start, Duration::from_secs(to));
            camera(true)?;
        }
        Traffic::CallAndTcp(..) | Traffic::Pausing(..) | Traffic::Call | Traffic::TwoCalls | Traffic::SoundOnly => {}
    }
    sleep_until(start, length);
    Ok(())
}

/// As many bytes as TCP can carry, from host 0 to 1.
struct Transfer {
    stream: TcpStream,
}

impl Transfer {
    fn start(lab: &Lab) -> anyhow::Result<Self> {
        // A socket stays in the namespace in which it was made, wherever the threads that use it are.
        let listener = lab.inside(1, || TcpListener::bind((address(1), PORT)))??;
        std::thread::spawn(move || {
            let mut sink = vec![0; 1 << 16];
            if let Ok((mut stream, _)) = listener.accept() {
                while stream.read(&mut sink).is_ok_and(|read| read > 0) {}
            }
        });
        let stream = lab.inside(0, || TcpStream::connect((address(1), PORT)))??;
        let mut sender = stream.try_clone()?;
        std::thread::spawn(move || while sender.write_all(&[0; 1 << 14]).is_ok() {});
        Ok(Self { stream })
    }

    /// What lies in the socket's buffer still goes out.
    fn stop(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
