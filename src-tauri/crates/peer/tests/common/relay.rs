//! A UDP middleman between two peers with seeded loss: each candidate is rewritten to a socket of its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, dead_code)]

use super::Bend;
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// What happens to a datagram on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Pass,
    Drop,
    /// Held back this long.
    Delay(Duration),
}

pub type Rule = Box<dyn FnMut(&[u8], &mut SmallRng) -> Fate + Send>;

struct State {
    /// Real address -> the middleman's socket that stands for it.
    stands_for: HashMap<SocketAddr, Arc<UdpSocket>>,
    rng: SmallRng,
    rule: Rule,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Clone)]
pub struct Middleman {
    state: Arc<Mutex<State>>,
    pub dropped: Arc<AtomicU64>,
    pub media: Arc<AtomicU64>,
}

/// SRTP, not STUN, DTLS or RTCP (RFC 5764, 5.1.2; RFC 5761, 4).
pub fn is_rtp(datagram: &[u8]) -> bool {
    datagram.len() > 12 && (128..192).contains(&datagram[0]) && !(192..=223).contains(&datagram[1])
}

pub fn payload_type(datagram: &[u8]) -> u8 {
    datagram[1] & 0x7F
}

impl Middleman {
    pub fn new(seed: u64, rule: Rule) -> Self {
        let rng = SmallRng::seed_from_u64(seed);
        Self {
            state: Arc::new(Mutex::new(State { stands_for: HashMap::new(), rng, rule, tasks: Vec::new() })),
            dropped: Arc::default(),
            media: Arc::default(),
        }
    }

    /// Loss of media packets only, both ways, from when `from` datagrams have passed.
    pub fn losing(seed: u64, loss: f64) -> Self {
        println!("seed {seed}");
        Self::new(
            seed,
            Box::new(
                move |datagram, rng| {
                    if is_rtp(datagram) && rng.random_bool(loss) { Fate::Drop } else { Fate::Pass }
                },
            ),
        )
    }

    pub fn set_rule(&self, rule: Rule) {
        self.state.lock().unwrap().rule = rule;
    }

    pub fn bend(&self) -> Bend {
        let this = self.clone();
        Arc::new(move |mut candidate| {
            if candidate.candidate.is_empty() {
                return Some(candidate);
            }
            let mut words: Vec<String> = candidate.candidate.split(' ').map(str::to_owned).collect();
            let real: SocketAddr = format!("{}:{}", words[4], words[5]).parse().unwrap();
            let stand_in = this.stand_in(real).local_addr().unwrap();
            words[4] = stand_in.ip().to_string();
            words[5] = stand_in.port().to_string();
            candidate.candidate = words.join(" ");
            Some(candidate)
        })
    }

    fn stand_in(&self, real: SocketAddr) -> Arc<UdpSocket> {
        let mut state = self.state.lock().unwrap();
        if let Some(socket) = state.stands_for.get(&real) {
            return Arc::clone(socket);
        }
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let socket = Arc::new(UdpSocket::from_std(socket).unwrap());
        state.stands_for.insert(real, Arc::clone(&socket));
        let (this, inbound) = (self.clone(), Arc::clone(&socket));
        state.tasks.push(tokio::spawn(async move {
            let mut buffer = vec![0; 2048];
            while let Ok((size, from)) = inbound.recv_from(&mut buffer).await {
                this.pass(&buffer[..size], from, real).await;
            }
        }));
        socket
    }

    async fn pass(&self, datagram: &[u8], from: SocketAddr, to: SocketAddr) {
        let fate = {
            let mut state = self.state.lock().unwrap();
            let State { rule, rng, .. } = &mut *state;
            rule(datagram, rng)
        };
        if is_rtp(datagram) {
            self.media.fetch_add(1, Ordering::Relaxed);
        }
        // The receiver must see it coming from the socket that stands for the sender.
        let out = self.stand_in(from);
        match fate {
            Fate::Pass => {
                let _ = out.send_to(datagram, to).await;
            }
            Fate::Drop => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Fate::Delay(by) => {
                let copy = datagram.to_vec();
                tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    let _ = out.send_to(&copy, to).await;
                });
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
