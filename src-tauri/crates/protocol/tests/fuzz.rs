//! The fuzz targets, without coverage: random bytes, and genuine inputs with random damage. `AHOY_FUZZ_SEED` repeats a
//! run, `AHOY_FUZZ_ROUNDS` makes it longer.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use ahoy_protocol::fuzz::TARGETS;
use ahoy_protocol::rand_core::Rng;
use ahoy_protocol::rendezvous::{ClientMessage, ServerMessage, sign_in, to_base64};
use ahoy_protocol::{SignalBody, seal};
use common::{TestRng, ada, ben, call, card_of, every_message};

#[test]
fn no_target_falls_over_random_or_damaged_input() {
    let number = |name: &str, default: u64| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    let seed = number("AHOY_FUZZ_SEED", 20_261_121);
    let rounds = number("AHOY_FUZZ_ROUNDS", 2_000);
    println!("AHOY_FUZZ_SEED={seed} AHOY_FUZZ_ROUNDS={rounds}");
    let mut rng = TestRng(seed);
    for (name, target) in TARGETS {
        let genuine = genuine(name);
        for input in &genuine {
            target(input);
        }
        for _ in 0..rounds {
            let mut input = if rng.next_u32().is_multiple_of(4) {
                let mut random = vec![0; rng.next_u32() as usize % 600];
                rng.fill_bytes(&mut random);
                random
            } else {
                genuine[rng.next_u32() as usize % genuine.len()].clone()
            };
            damage(&mut input, &mut rng);
            target(&input);
        }
    }
}

/// One to four small accidents.
fn damage(input: &mut Vec<u8>, rng: &mut TestRng) {
    for _ in 0..=rng.next_u32() % 4 {
        let at = rng.next_u32() as usize % (input.len() + 1);
        match rng.next_u32() % 5 {
            0 => input.truncate(at),
            1 => input.insert(at, rng.next_u32() as u8),
            2 => input.extend_from_within(at..),
            3 if at < input.len() => input[at] = b"\"{}[]:,0\\\xff-"[rng.next_u32() as usize % 11],
            _ if at < input.len() => input[at] ^= 1 << (rng.next_u32() % 8),
            _ => {}
        }
    }
}

fn genuine(target: &str) -> Vec<Vec<u8>> {
    match target {
        "id_text" => vec![ada().id().to_string().into_bytes(), ada().id().public_key().to_vec()],
        "card_link" => vec![card_of(&ada(), "Ada").to_link().into_bytes()],
        "envelope_open" => {
            let me = ahoy_protocol::Identity::from_seed([7; 32]);
            let busy = call(SignalBody::Busy).to_bytes();
            let mut content = vec![0; 256];
            content[27] = busy.len() as u8;
            content[28..28 + busy.len()].copy_from_slice(&busy);
            vec![seal(&ada(), &me.id(), &call(SignalBody::Ringing), 1).unwrap(), content]
        }
        "message_json" => every_message(&ada()).iter().map(|message| message.to_bytes()).collect(),
        "client_frame" => vec![
            sign_in(&ada(), 1, "ahoy.example", &to_base64(&[7; 32]), "test/1").unwrap().to_text().into_bytes(),
            ClientMessage::Watch { contacts: vec![ben().id()] }.to_text().into_bytes(),
            ClientMessage::RefreshIceServers.to_text().into_bytes(),
        ],
        "server_frame" => vec![
            ServerMessage::Presence { id: ben().id(), online: true }.to_text().into_bytes(),
            ServerMessage::Challenge { nonce: to_base64(&[7; 32]), versions: vec![1], server_time_ms: 1 }
                .to_text()
                .into_bytes(),
            ServerMessage::SignedIn { ice_servers: vec![], observed_address: "x".into() }.to_text().into_bytes(),
        ],
        other => panic!("{other} has no genuine inputs here: add some"),
    }
}
