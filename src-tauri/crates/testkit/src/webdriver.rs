//! A W3C WebDriver client, as small as our tests need: Chromium by chromedriver, our own window by tauri-driver.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

/// Name of the member that carries an element's reference (WebDriver, 11.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What to do where [`chromedriver`] finds none.
pub const NO_BROWSER: &str = "There is no chromedriver. `cargo xtask setup` installs it; elsewhere, put `chromium` or `google-chrome` \
    and the `chromedriver` of the same version on PATH.";

/// The driver of the browser: on `PATH`, or where Ubuntu's snap of Chromium has it.
pub fn chromedriver() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/snap/bin")]).collect::<Vec<_>>();
    let names = [format!("chromedriver{}", std::env::consts::EXE_SUFFIX), "chromium.chromedriver".to_owned()];
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|place| place.is_file())
}

/// A driver program, ended when dropped.
#[derive(Debug)]
pub struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    /// Starts chromedriver.
    ///
    /// # Errors
    /// When it does not answer within ten seconds.
    pub fn chromium(program: &Path) -> anyhow::Result<Self> {
        let port = free_port()?;
        Self::start(Command::new(program).arg(format!("--port={port}")), port)
    }

    /// Starts tauri-driver, which starts WebKitWebDriver, with these environment variables.
    ///
    /// # Errors
    /// When it does not answer within ten seconds.
    pub fn tauri(program: &Path, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let (port, native) = (free_port()?, free_port()?);
        let mut command = Command::new(program);
        command.args(["--port", &port.to_string(), "--native-port", &native.to_string()]);
        Self::start(command.envs(environment.iter().copied()), port)
    }

    fn start(command: &mut Command, port: u16) -> anyhow::Result<Self> {
        let process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} could not be started", command.get_program().to_string_lossy()))?;
        let driver = Self { process, url: format!("http://127.0.0.1:{port}") };
        let end = Instant::now() + Duration::from_secs(10);
        while request("GET", &format!("{}/status", driver.url), None).is_err() {
            anyhow::ensure!(Instant::now() < end, "{command:?} does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(driver)
    }

    /// Opens a session with these capabilities (the value of `alwaysMatch`).
    ///
    /// # Errors
    /// The driver's own words.
    pub fn session(&self, capabilities: &Value) -> anyhow::Result<Session> {
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let answer = request("POST", &format!("{}/session", self.url), Some(&body))?;
        let id = answer["sessionId"].as_str().context("the driver names no session")?;
        Ok(Session { url: format!("{}/session/{id}", self.url) })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One browser or window. Closed when dropped.
#[derive(Debug)]
pub struct Session {
    url: String,
}

impl Session {
    /// Opens an address.
    ///
    /// # Errors
    /// The driver's own words.
    pub fn open(&self, address: &str) -> anyhow::Result<()> {
        self.post("url", &json!({ "url": address })).map(drop)
    }

    /// Runs JavaScript; `arguments` are its `arguments`, its `return` is the result.
    ///
    /// # Errors
    /// The script's exception, or the driver's own words.
    pub fn run(&self, script: &str, arguments: &[Value]) -> anyhow::Result<Value> {
        self.post("execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Runs the body of an async JavaScript function and waits for its promise.
    ///
    /// # Errors
    /// The promise's rejection, or the driver's own words.
    pub fn run_async(&self, body: &str, arguments: &[Value]) -> anyhow::Result<Value> {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const args = Array.from(arguments).slice(0, -1);
             (async (...args) => {{ {body} }})(...args).then(value => done({{ value }}), error => done({{ error: String(error) }}));"
        );
        let answer = self.post("execute/async", &json!({ "script": script, "args": arguments }))?;
        match answer["error"].as_str() {
            Some(error) => anyhow::bail!("in the page: {error}"),
            None => Ok(answer["value"].clone()),
        }
    }

    /// Runs JavaScript until it returns something true, and gives that.
    ///
    /// # Errors
    /// When `limit` passes; names `what` was awaited and the last answer.
    pub fn wait_for(&self, what: &str, script: &str, limit: Duration) -> anyhow::Result<Value> {
        let end = Instant::now() + limit;
        loop {
            let answer = self.run(script, &[])?;
            if !matches!(answer, Value::Null | Value::Bool(false)) && answer != json!(0) && answer != json!("") {
                return Ok(answer);
            }
            anyhow::ensure!(Instant::now() < end, "{what} did not come within {limit:?}; last answer: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Clicks the first element that the CSS selector finds, as a person would: it must be visible and not covered.
    ///
    /// # Errors
    /// When there is none, or it cannot be clicked.
    pub fn click(&self, selector: &str) -> anyhow::Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("element/{element}/click"), &json!({}))
            .with_context(|| format!("clicking {selector}"))
            .map(drop)
    }

    /// Types into the first element that the CSS selector finds.
    ///
    /// # Errors
    /// When there is none, or it takes no text.
    pub fn type_into(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        let element = self.element(selector)?;
        self.post(&format!("element/{element}/value"), &json!({ "text": text }))
            .with_context(|| format!("typing into {selector}"))
            .map(drop)
    }

    /// Presses and releases a key, wherever the focus is. Special keys have WebDriver's private code points.
    ///
    /// # Errors
    /// The driver's own words.
    pub fn press(&self, key: char) -> anyhow::Result<()> {
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.post("actions", &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] })).map(drop)
    }

    /// Waits until the CSS selector finds something.
    ///
    /// # Errors
    /// When `limit` passes.
    pub fn wait_for_element(&self, selector: &str, limit: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        while self.element(selector).is_err() {
            anyhow::ensure!(Instant::now() < end, "{selector} did not appear within {limit:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Text of the first element that the CSS selector finds, as shown.
    ///
    /// # Errors
    /// When there is none.
    pub fn text(&self, selector: &str) -> anyhow::Result<String> {
        let element = self.element(selector)?;
        Ok(self.get(&format!("element/{element}/text"))?.as_str().unwrap_or_default().to_owned())
    }

    /// A PNG picture of the page.
    ///
    /// # Errors
    /// The driver's own words.
    pub fn screenshot(&self) -> anyhow::Result<Vec<u8>> {
        let answer = self.get("screenshot")?;
        let text = answer.as_str().context("a screenshot is text")?;
        data_encoding::BASE64.decode(text.as_bytes()).context("a screenshot is base64")
    }

    /// Sets the window's size in pixels, frame included.
    ///
    /// # Errors
    /// The driver's own words.
    pub fn resize(&self, width: u32, height: u32) -> anyhow::Result<()> {
        self.post("window/rect", &json!({ "width": width, "height": height })).map(drop)
    }

    /// Sets the size of what the page is laid out in, in CSS pixels: smaller, too, than a browser lets its window be.
    /// Chromium only.
    ///
    /// # Errors
    /// The driver's own words.
    pub fn set_viewport(&self, width: u32, height: u32) -> anyhow::Result<()> {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.post("goog/cdp/execute", &json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size })).map(drop)
    }

    /// Handles of all windows of the program.
    ///
    /// # Errors
    /// The driver's own words.
    pub fn windows(&self) -> anyhow::Result<Vec<String>> {
        let answer = self.get("window/handles")?;
        Ok(answer.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Turns to another window.
    ///
    /// # Errors
    /// The driver's own words.
    pub fn switch_to_window(&self, handle: &str) -> anyhow::Result<()> {
        self.post("window", &json!({ "handle": handle })).map(drop)
    }

    fn element(&self, selector: &str) -> anyhow::Result<String> {
        let found = self
            .post("element", &json!({ "using": "css selector", "value": selector }))
            .with_context(|| format!("looking for {selector}"))?;
        Ok(found[ELEMENT].as_str().context("an element has a reference")?.to_owned())
    }

    fn post(&self, command: &str, body: &Value) -> anyhow::Result<Value> {
        request("POST", &format!("{}/{command}", self.url), Some(body))
    }

    fn get(&self, command: &str) -> anyhow::Result<Value> {
        request("GET", &format!("{}/{command}", self.url), None)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = request("DELETE", &self.url, None);
    }
}

/// Chromium with its fake camera (a moving picture) and microphone (beeps), asking nobody, reaching nobody.
///
/// `arguments` are added to its command line; `profile` must be an empty folder.
pub fn chromium_capabilities(profile: &Path, arguments: &[&str]) -> Value {
    let fixed = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        "--autoplay-policy=no-user-gesture-required",
        "--allow-file-access-from-files",
        "--disable-features=WebRtcHideLocalIpsWithMdns",
    ];
    let own = format!("--user-data-dir={}", profile.display());
    let all: Vec<&str> =
        fixed.into_iter().chain(std::iter::once(own.as_str())).chain(arguments.iter().copied()).collect();
    json!({ "browserName": "chrome", "goog:chromeOptions": { "args": all }, "timeouts": { "script": 60_000 } })
}

/// A TCP port that was free a moment ago.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn request(method: &str, url: &str, body: Option<&Value>) -> anyhow::Result<Value> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(90)))
        .build()
        .into();
    let mut response = match (method, body) {
        ("POST", Some(body)) => agent.post(url).header("Content-Type", "application/json").send(body.to_string())?,
        ("DELETE", _) => agent.delete(url).call()?,
        _ => agent.get(url).call()?,
    };
    let failed = !response.status().is_success();
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
    let answer: Value =
        serde_json::from_str(&text).with_context(|| format!("the driver's answer is not JSON: {text}"))?;
    let value = answer["value"].clone();
    anyhow::ensure!(
        !failed,
        "{}: {}",
        value["error"].as_str().unwrap_or("refused"),
        value["message"].as_str().unwrap_or("")
    );
    Ok(value)
}
