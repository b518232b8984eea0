//! Everything is said in the person's language, also what was said already, and nothing has to be started anew for it.

mod common;

use ahoy_engine::Engine;
use ahoy_engine::api::{Command, Language, RendezvousState, Snapshot};

use common::{Person, config, rendezvous};

/// The sentences that stand in the window, whatever they are about.
fn said(shown: &Snapshot) -> Vec<String> {
    shown.notices.iter().map(|notice| notice.sentence.text.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_language_changes_while_it_runs_and_is_remembered() {
    let server = rendezvous().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut german = config(folder.path(), server.url());
    german.language = Language::De;
    let ada = Person::with("Ada", german.clone()).await;
    ada.wish(Command::AddContact { link: "ahoy://card/7".to_owned() });
    ada.wish(Command::SetName { name: " ".to_owned() });
    let shown = ada.until("two notices", |shown| shown.notices.len() == 2).await;
    assert_eq!((shown.language, shown.chosen_language), (Language::De, None));
    assert_eq!(said(&shown)[1], "Ein Name braucht mindestens einen Buchstaben. Tippe einen ein.");

    ada.wish(Command::SetLanguage { language: Some(Language::Tr) });
    let shown = ada.until("Turkish", |shown| shown.language == Language::Tr).await;
    assert_eq!(shown.chosen_language, Some(Language::Tr));
    assert_eq!(said(&shown)[1], "Bir adda en az bir harf olmalı. Bir harf yaz.");
    ada.wish(Command::AddContact { link: "nonsense".to_owned() });
    let shown = ada.until("a third notice", |shown| shown.notices.len() == 3).await;
    assert!(said(&shown)[2].starts_with("Bu bir Ahoy bağlantısı değil"), "{:?}", said(&shown));

    // The same sentence again takes the place of the old one, in whichever language that was said first.
    ada.wish(Command::SetName { name: String::new() });
    ada.until("the third at the end", |shown| {
        shown.notices.last().is_some_and(|last| last.sentence.key == "name.empty")
    })
    .await;
    assert_eq!(ada.engine.snapshot().borrow().notices.len(), 3);
    ada.engine.shutdown().await;

    let again = Engine::start(german).expect("starts again");
    assert_eq!(again.snapshot().borrow().language, Language::Tr);
    again.command(Command::SetLanguage { language: None }).expect("room for a command");
    let mut snapshots = again.snapshot();
    let shown = snapshots.wait_for(|shown| shown.language == Language::De).await.expect("runs").clone();
    assert_eq!(shown.chosen_language, None);
    again.shutdown().await;
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_there_is_no_connection_is_said_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    // Port 9 takes nothing.
    let engine = Engine::start(config(folder.path(), "ws://127.0.0.1:9")).expect("starts");
    let mut snapshots = engine.snapshot();
    let why = |shown: &Snapshot| match &shown.rendezvous {
        RendezvousState::Offline { why } => Some(why.text.clone()),
        RendezvousState::Connecting | RendezvousState::Online => None,
    };
    let shown = snapshots.wait_for(|shown| why(shown).is_some()).await.expect("runs").clone();
    assert!(why(&shown).is_some_and(|why| why.contains("No rendezvous answers")), "{:?}", why(&shown));
    engine.command(Command::SetLanguage { language: Some(Language::De) }).expect("room for a command");
    let german = |shown: &Snapshot| why(shown).is_some_and(|why| why.contains("antwortet unter"));
    tokio::time::timeout(common::LIMIT, snapshots.wait_for(|shown| german(shown)))
        .await
        .expect("in time")
        .expect("runs");
    engine.shutdown().await;
}
