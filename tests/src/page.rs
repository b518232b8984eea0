//! A browser page (tests/browser/call.html) as one end of a call, its signalling carried by a [`Bridge`].

use std::path::Path;
use std::time::{Duration, Instant};

use ahoy_protocol::{AhoyId, CallId, DescriptionKind, Identity, ShareKind, ShareState, Signal, SignalBody};
use ahoy_testkit::webdriver::{Driver, NO_BROWSER, Session, chromedriver, chromium_capabilities};
use anyhow::Context as _;
use serde_json::{Value, json};

use crate::bridge::Bridge;

/// A person at a browser.
pub struct PageCaller {
    page: Session,
    bridge: Bridge,
    other: AhoyId,
    call: CallId,
    sequence: u32,
    _driver: Driver,
}

impl PageCaller {
    /// Opens the page, captures the browser's fake devices and signs in.
    ///
    /// # Errors
    /// When Chromium or the rendezvous is not there.
    pub fn open(profile: &Path, identity: Identity, server: &str, other: AhoyId) -> anyhow::Result<Self> {
        let program = chromedriver().context(NO_BROWSER)?;
        let driver = Driver::chromium(&program)?;
        let page = driver.session(&chromium_capabilities(profile, &[]))?;
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/call.html");
        page.open(&format!("file://{}", file.display()))?;
        page.run_async("await call.start(...args)", &[json!({ "width": 640, "height": 360 })])?;
        let bridge = Bridge::sign_in(server, identity, other)?;
        Ok(Self { page, bridge, other, call: CallId([0; 16]), sequence: 0, _driver: driver })
    }

    /// Rings the other side from the page.
    ///
    /// # Errors
    /// When the page or the rendezvous fails.
    pub fn ring(&mut self, call: CallId, name: &str) -> anyhow::Result<()> {
        self.call = call;
        let offer = self.page.run_async("return call.makeOffer()", &[])?;
        self.say(SignalBody::Invite { name: name.to_owned(), video: true, offer: text(&offer)? })
    }

    /// Waits for an invitation and accepts it.
    ///
    /// # Errors
    /// When none comes within `limit`.
    pub fn accept(&mut self, limit: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            let Some(Signal { call, body: SignalBody::Invite { offer, .. }, .. }) = self.bridge.next(limit)? else {
                continue;
            };
            self.call = call;
            self.say(SignalBody::Ringing)?;
            let answer = self.page.run_async("return call.takeOffer(...args)", &[json!(offer)])?;
            self.say(SignalBody::Description { kind: DescriptionKind::Answer, sdp: text(&answer)? })?;
            return self.say(SignalBody::Accept { video: true });
        }
        anyhow::bail!("no invitation came within {limit:?}")
    }

    /// Carries signals both ways until `done` says so of the page's statistics.
    ///
    /// # Errors
    /// When `limit` passes, the other side ends the call, or the page fails; says what was seen last.
    pub fn carry_until(&mut self, what: &str, limit: Duration, done: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let end = Instant::now() + limit;
        loop {
            while let Some(signal) = self.bridge.next(Duration::from_millis(20))? {
                self.take(signal)?;
            }
            let candidates = self.page.run("return call.takeCandidates()", &[])?;
            for candidate in candidates.as_array().into_iter().flatten().filter(|candidate| !candidate.is_null()) {
                let member = |name: &str| candidate[name].as_str().map(str::to_owned);
                self.say(SignalBody::Candidate {
                    candidate: member("candidate").unwrap_or_default(),
                    mid: member("sdpMid"),
                    index: candidate["sdpMLineIndex"].as_u64().map(|index| index as u16),
                    username_fragment: member("usernameFragment"),
                })?;
            }
            let stats = self.page.run_async("return call.stats()", &[])?;
            if done(&stats) {
                return Ok(stats);
            }
            anyhow::ensure!(Instant::now() < end, "{what} did not come within {limit:?}; last statistics: {stats:#}");
        }
    }

    /// Shows a drawing beside the camera.
    ///
    /// # Errors
    /// When the page or the rendezvous fails.
    pub fn share(&mut self) -> anyhow::Result<()> {
        let share = Some(ShareState { kind: ShareKind::Window, sound: false, paused: false });
        let (microphone, camera, paused, reduced, view) = (true, true, false, false, None);
        self.say(SignalBody::MediaState { microphone, camera, paused, reduced, view, share })?;
        let offer = self.page.run_async("return call.share()", &[])?;
        self.say(SignalBody::Description { kind: DescriptionKind::Offer, sdp: text(&offer)? })
    }

    /// The page itself.
    pub fn page(&self) -> &Session {
        &self.page
    }

    /// Hangs up.
    ///
    /// # Errors
    /// When the rendezvous is gone.
    pub fn hang_up(&mut self) -> anyhow::Result<()> {
        self.page.run("call.end()", &[])?;
        self.say(SignalBody::HangUp { reason: ahoy_protocol::HangUpReason::Person })
    }

    fn take(&mut self, signal: Signal) -> anyhow::Result<()> {
        if signal.call != self.call {
            return Ok(());
        }
        match signal.body {
            SignalBody::Description { kind: DescriptionKind::Offer, sdp } => {
                let answer = self.page.run_async("return call.takeLaterOffer(...args)", &[json!(sdp)])?;
                self.say(SignalBody::Description { kind: DescriptionKind::Answer, sdp: text(&answer)? })?;
            }
            SignalBody::Description { kind: DescriptionKind::Answer, sdp } => {
                self.page.run_async("await call.takeAnswer(...args)", &[json!(sdp)])?;
            }
            SignalBody::Candidate { candidate, mid, index, username_fragment } => {
                let candidate = json!({
                    "candidate": candidate, "sdpMid": mid, "sdpMLineIndex": index, "usernameFragment": username_fragment,
                });
                self.page.run_async("await call.addCandidate(...args)", &[candidate])?;
            }
            SignalBody::HangUp { reason } => anyhow::bail!("the other side hung up: {reason:?}"),
            SignalBody::Decline | SignalBody::Busy | SignalBody::Cancel => anyhow::bail!("the other side refused"),
            SignalBody::Invite { .. }
            | SignalBody::Ringing
            | SignalBody::Accept { .. }
            | SignalBody::MediaState { .. }
            | SignalBody::ShareRequest
            | SignalBody::ShareRefused => {}
        }
        Ok(())
    }

    fn say(&mut self, body: SignalBody) -> anyhow::Result<()> {
        self.bridge.send(&self.other, self.call, self.sequence, body)?;
        self.sequence += 1;
        Ok(())
    }
}

/// A program on `PATH`.
pub fn find(name: &str) -> Option<std::path::PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

fn text(value: &Value) -> anyhow::Result<String> {
    Ok(value.as_str().context("the page gives text")?.to_owned())
}
