//! Where people meet: which rendezvous, what its failure is called, whose servers are asked, what waits there.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use ahoy_engine::api::{AnswerKind, CallPhase, CardReach, Command, EndReason, RendezvousState, Snapshot};
use ahoy_engine::{Engine, Loopback};
use ahoy_server::{Server, ServerConfig};
use common::{Person, befriend, config, is_active, is_ended, rendezvous};

fn why(shown: &Snapshot) -> Option<&str> {
    match &shown.rendezvous {
        RendezvousState::Offline { why } => Some(&why.key),
        RendezvousState::Connecting | RendezvousState::Online => None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_set_no_rendezvous_is_told_so_and_that_their_card_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), "");
    config.server = None;
    let engine = Engine::start(config).unwrap();
    let mut shown = engine.snapshot();
    tokio::time::timeout(common::LIMIT, shown.wait_for(|shown| why(shown) == Some("rendezvous.unset")))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(shown.borrow().me.card_reach, CardReach::ThisComputer);
    // One in the local network, which is not there either, is another matter.
    engine.command(Command::SetServer { url: "ws://127.0.0.1:9".to_owned() }).unwrap();
    tokio::time::timeout(common::LIMIT, shown.wait_for(|shown| why(shown) == Some("rendezvous.not-here")))
        .await
        .unwrap()
        .unwrap();
    engine.command(Command::SetServer { url: "ws://nas.local".to_owned() }).unwrap();
    let near = |shown: &Snapshot| shown.me.card_reach == CardReach::LocalNetwork;
    tokio::time::timeout(common::LIMIT, shown.wait_for(|shown| near(shown))).await.unwrap().unwrap();
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_met_in_the_clear_over_the_internet() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::start(config(folder.path(), "ws://meet.example")).unwrap();
    let mut shown = engine.snapshot();
    tokio::time::timeout(common::LIMIT, shown.wait_for(|shown| why(shown) == Some("rendezvous.plain")))
        .await
        .unwrap()
        .unwrap();
    let before = engine.snapshot().borrow().me.card_link.clone();
    engine.command(Command::SetServer { url: "ws://203.0.113.7:7400".to_owned() }).unwrap();
    let refused = |shown: &Snapshot| shown.notices.iter().any(|notice| notice.sentence.key == "rendezvous.plain");
    let now =
        tokio::time::timeout(common::LIMIT, shown.wait_for(|shown| refused(shown))).await.unwrap().unwrap().clone();
    assert_eq!(now.me.card_link, before, "the refused address is not given out");
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_called_while_away_finds_a_missed_call() {
    let server = rendezvous().await;
    let folder = tempfile::tempdir().unwrap();
    let ada = Person::new("Ada", server.url()).await;
    let ben = Person::with("Ben", config(folder.path(), server.url())).await;
    befriend(&ada, &ben).await;
    let id = ben.id.clone();
    ben.engine.shutdown().await;
    ada.wish(Command::Call { id, video: false });
    let ended = ada.until_call("the end", is_ended).await;
    assert!(matches!(ended.phase, CallPhase::Ended { reason: EndReason::Unreachable, .. }), "{ended:?}");
    let ben = Person::with("Ben", config(folder.path(), server.url())).await;
    let shown = ben.until("the missed call", |shown| shown.unseen_missed == 1).await;
    assert_eq!((shown.history.len(), &shown.history[0].peer), (1, &ada.id));
    assert_eq!(shown.history[0].reason, EndReason::Missed);
    for person in [ada, ben] {
        person.engine.shutdown().await;
    }
    server.shutdown().await;
}

/// A STUN server that only counts who asks.
struct Counter(UdpSocket);

impl Counter {
    fn start() -> Self {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Self(socket)
    }

    async fn rendezvous(&self) -> ahoy_server::RunningServer {
        let stun = format!("stun:{}:{}", own_address(), self.0.local_addr().unwrap().port());
        Server::start(ServerConfig { stun_urls: vec![stun], ..ServerConfig::loopback() }).await.unwrap()
    }

    fn asked(&self) -> usize {
        std::iter::from_fn(|| self.0.recv(&mut [0; 1500]).ok()).count()
    }
}

/// The address by which this computer reaches others, or loopback where it reaches none.
fn own_address() -> std::net::IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let outward = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr());
    outward.map_or(std::net::Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_servers_of_the_two_who_call_learn_of_the_call() {
    let counters = [Counter::start(), Counter::start(), Counter::start()];
    let mut servers = Vec::new();
    for counter in &counters {
        servers.push(counter.rendezvous().await);
    }
    let mut people = Vec::new();
    let mut folders = Vec::new();
    for (name, server) in ["Ada", "Ben", "Cem"].into_iter().zip(&servers) {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path(), server.url());
        // A STUN server is asked from addresses that lead somewhere.
        config.loopback = Loopback::Always;
        people.push(Person::with(name, config).await);
        folders.push(folder);
    }
    let [ada, ben, cem] = &people[..] else { unreachable!("three were made") };
    befriend(ada, ben).await;
    befriend(ada, cem).await;
    ada.wish(Command::Call { id: ben.id.clone(), video: false });
    ben.until_call("the ring", |call| call.phase == CallPhase::Incoming).await;
    ben.wish(Command::Answer { how: AnswerKind::Audio });
    ada.until_call("the call", is_active).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked = counters.each_ref().map(Counter::asked);
    assert!(asked[0] > 0 && asked[1] > 0, "both sides' own servers are asked: {asked:?}");
    assert_eq!(asked[2], 0, "Cem's server has nothing to do with it");
    for person in people {
        person.engine.shutdown().await;
    }
    for server in servers {
        server.shutdown().await;
    }
}
