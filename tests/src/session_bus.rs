//! A D-Bus session of a test's own, and on it, as far as a test wants them, the services of a desktop: notifications, a tray,
//! a screen saver, the portal for hotkeys. They speak the published interfaces; the bus is a real one.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ahoy_testkit::display::Guarded;
use anyhow::Context as _;
use zbus::blocking::connection::Builder;
use zbus::blocking::{Connection, Proxy};
use zbus::object_server::SignalEmitter;
use zbus::zvariant::{ObjectPath, OwnedObjectPath, OwnedValue, Value};
use zbus::{interface, message};

/// Nothing is started by the bus: what a test does not put there is not there.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
"#;

/// A bus without services.
#[derive(Debug)]
pub struct SessionBus {
    address: String,
    _folder: tempfile::TempDir,
    _daemon: Guarded,
}

impl SessionBus {
    /// Starts one.
    ///
    /// # Errors
    /// When `dbus-daemon` is not there.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("session.conf");
        std::fs::write(&config, CONFIG)?;
        let mut daemon = Command::new("dbus-daemon")
            .arg("--config-file")
            .arg(&config)
            .args(["--nofork", "--nopidfile", "--nosyslog", "--print-address=1"])
            .stdout(Stdio::piped())
            .spawn()
            .context("dbus-daemon could not be started; `cargo xtask setup` installs it")?;
        let output = daemon.stdout.take().context("its output was asked for as a pipe")?;
        let daemon = Guarded(daemon);
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        anyhow::ensure!(!address.trim().is_empty(), "dbus-daemon ended before it was ready");
        Ok(Self { address: address.trim().to_owned(), _folder: folder, _daemon: daemon })
    }

    /// The value of `DBUS_SESSION_BUS_ADDRESS`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A connection of its own.
    ///
    /// # Errors
    /// When the bus is gone.
    pub fn connect(&self) -> anyhow::Result<Connection> {
        Ok(Builder::address(self.address.as_str())?.build()?)
    }

    /// A notification daemon.
    ///
    /// # Errors
    /// When the bus is gone or has one.
    pub fn notifications(&self) -> anyhow::Result<Notifications> {
        let shown = Shared::default();
        let connection = Builder::address(self.address.as_str())?
            .serve_at("/org/freedesktop/Notifications", NotificationService(Arc::clone(&shown)))?
            .name("org.freedesktop.Notifications")?
            .build()?;
        Ok(Notifications { connection, shown })
    }

    /// A tray.
    ///
    /// # Errors
    /// When the bus is gone or has one.
    pub fn tray(&self) -> anyhow::Result<Tray> {
        let items = Shared::default();
        let connection = Builder::address(self.address.as_str())?
            .serve_at("/StatusNotifierWatcher", TrayService(Arc::clone(&items)))?
            .name("org.kde.StatusNotifierWatcher")?
            .build()?;
        Ok(Tray { connection, items })
    }

    /// A screen saver that can be held off.
    ///
    /// # Errors
    /// When the bus is gone or has one.
    pub fn screen_saver(&self) -> anyhow::Result<ScreenSaver> {
        let held = Shared::default();
        let connection = Builder::address(self.address.as_str())?
            .serve_at("/org/freedesktop/ScreenSaver", ScreenSaverService(Arc::clone(&held), 0))?
            .name("org.freedesktop.ScreenSaver")?
            .build()?;
        Ok(ScreenSaver { connection, held })
    }

    /// A portal whose person agrees to every hotkey but those with `refused` in their trigger.
    ///
    /// # Errors
    /// When the bus is gone or has one.
    pub fn hotkey_portal(&self, refused: &str) -> anyhow::Result<HotkeyPortal> {
        let bound = Shared::default();
        let service = PortalService { bound: Arc::clone(&bound), refused: refused.to_owned() };
        let connection = Builder::address(self.address.as_str())?
            .serve_at(PORTAL, service)?
            .name("org.freedesktop.portal.Desktop")?
            .build()?;
        Ok(HotkeyPortal { connection, bound })
    }
}

type Shared<T> = Arc<Mutex<Vec<T>>>;

fn locked<T>(shared: &Shared<T>) -> MutexGuard<'_, Vec<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A text, also inside of a variant.
fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Str(found) => Some(found.to_string()),
        Value::Value(inner) => text(inner),
        _ => None,
    }
}

/// The members of a structure; none of anything else.
fn fields<'a>(value: &'a Value<'a>) -> &'a [Value<'a>] {
    match value {
        Value::Structure(structure) => structure.fields(),
        _ => &[],
    }
}

fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        anyhow::ensure!(Instant::now() < end, "{what} did not come within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A notification as a daemon has it.
#[derive(Debug, Clone)]
pub struct Notification {
    /// Its number.
    pub id: u32,
    /// The line in large.
    pub summary: String,
    /// Keys and labels of its buttons.
    pub actions: Vec<(String, String)>,
    /// 2: stays until it is done with.
    pub urgency: u8,
    /// Taken back by the program.
    pub closed: bool,
}

/// What has been notified.
#[derive(Debug)]
pub struct Notifications {
    connection: Connection,
    shown: Shared<Notification>,
}

impl Notifications {
    /// Waits for one that `wanted` accepts, in the state that it has then.
    ///
    /// # Errors
    /// When none comes within `limit`.
    pub fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Notification) -> bool,
    ) -> anyhow::Result<Notification> {
        wait_for(what, limit, || locked(&self.shown).iter().find(|one| wanted(one)).cloned())
            .with_context(|| format!("{:?}", locked(&self.shown)))
    }

    /// The person presses a button.
    ///
    /// # Errors
    /// When the bus is gone.
    pub fn press(&self, id: u32, action: &str) -> anyhow::Result<()> {
        let place = "/org/freedesktop/Notifications";
        Ok(self.connection.emit_signal(
            None::<&str>,
            place,
            "org.freedesktop.Notifications",
            "ActionInvoked",
            &(id, action),
        )?)
    }
}

struct NotificationService(Shared<Notification>);

#[interface(name = "org.freedesktop.Notifications")]
impl NotificationService {
    #[allow(clippy::too_many_arguments, reason = "the specification's")]
    fn notify(
        &mut self,
        _app_name: &str,
        _replaces_id: u32,
        _app_icon: &str,
        summary: String,
        _body: &str,
        actions: Vec<String>,
        hints: HashMap<String, OwnedValue>,
        _expire_timeout: i32,
    ) -> u32 {
        let mut shown = locked(&self.0);
        let id = shown.len() as u32 + 1;
        let urgency = hints.get("urgency").and_then(|value| value.downcast_ref::<u8>().ok()).unwrap_or(1);
        let actions = actions.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        shown.push(Notification { id, summary, actions, urgency, closed: false });
        id
    }

    fn close_notification(&mut self, id: u32) {
        if let Some(one) = locked(&self.0).iter_mut().find(|one| one.id == id) {
            one.closed = true;
        }
    }

    fn get_capabilities(&self) -> Vec<&str> {
        vec!["actions", "body", "persistence"]
    }

    fn get_server_information(&self) -> (&str, &str, &str, &str) {
        ("ahoy-testkit", "Ahoy", "1", "1.2")
    }
}

/// The icons in the tray.
#[derive(Debug)]
pub struct Tray {
    connection: Connection,
    items: Shared<String>,
}

/// A line of an icon's menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuLine {
    /// For [`Tray::choose`].
    pub id: i32,
    /// As shown.
    pub label: String,
    /// It can be chosen.
    pub enabled: bool,
}

impl Tray {
    /// Waits for an icon; its bus name.
    ///
    /// # Errors
    /// When none comes within `limit`.
    pub fn wait_for_icon(&self, limit: Duration) -> anyhow::Result<String> {
        wait_for("an icon in the tray", limit, || locked(&self.items).first().cloned())
    }

    /// Waits until the line under the pointer is accepted.
    ///
    /// # Errors
    /// When it does not come within `limit`.
    pub fn wait_for_tip(&self, icon: &str, limit: Duration, wanted: impl Fn(&str) -> bool) -> anyhow::Result<String> {
        let mut last = String::new();
        wait_for("the tray's tip", limit, || {
            last = self.tip(icon).unwrap_or_default();
            wanted(&last).then(|| last.clone())
        })
        .with_context(|| format!("last seen: {last:?}"))
    }

    /// The line under the pointer.
    ///
    /// # Errors
    /// When the icon is gone.
    pub fn tip(&self, icon: &str) -> anyhow::Result<String> {
        let tip: OwnedValue = self.item(icon)?.get_property("ToolTip")?;
        fields(&tip).get(2).and_then(text).context("a tool tip has a title")
    }

    /// Size and pixels (ARGB) of the icon, in its largest size.
    ///
    /// # Errors
    /// When the icon is gone.
    pub fn pixels(&self, icon: &str) -> anyhow::Result<(i32, Vec<u8>)> {
        let all: OwnedValue = self.item(icon)?.get_property("IconPixmap")?;
        let Value::Array(all) = &*all else { anyhow::bail!("an icon's pixels are a list") };
        let sizes = all.iter().filter_map(|one| match fields(one) {
            [Value::I32(width), _, Value::Array(bytes)] => {
                Some((*width, bytes.iter().filter_map(|byte| byte.downcast_ref::<u8>().ok()).collect::<Vec<_>>()))
            }
            _ => None,
        });
        sizes.max_by_key(|(width, _)| *width).context("an icon has pixels")
    }

    /// Clicks the icon.
    ///
    /// # Errors
    /// When it is gone.
    pub fn activate(&self, icon: &str) -> anyhow::Result<()> {
        Ok(self.item(icon)?.call_method("Activate", &(0, 0)).map(drop)?)
    }

    /// The lines of its menu, separators left out.
    ///
    /// # Errors
    /// When the icon is gone.
    pub fn menu(&self, icon: &str) -> anyhow::Result<Vec<MenuLine>> {
        type Layout = (i32, HashMap<String, OwnedValue>, Vec<OwnedValue>);
        let menu = self.menu_of(icon)?;
        let (_, root): (u32, Layout) = menu.call("GetLayout", &(0, -1, Vec::<&str>::new()))?;
        let mut lines = Vec::new();
        for line in &root.2 {
            let [Value::I32(id), Value::Dict(properties), _] = fields(line) else { continue };
            let property = |name: &str| {
                properties.iter().find(|(key, _)| text(key).as_deref() == Some(name)).map(|(_, value)| value)
            };
            if property("type").is_none() {
                let label = property("label").and_then(text).unwrap_or_default();
                let enabled = property("enabled").and_then(|value| value.downcast_ref::<bool>().ok()).unwrap_or(true);
                lines.push(MenuLine { id: *id, label, enabled });
            }
        }
        Ok(lines)
    }

    /// Chooses the line with this label.
    ///
    /// # Errors
    /// When there is none, or it cannot be chosen.
    pub fn choose(&self, icon: &str, label: &str) -> anyhow::Result<()> {
        let lines = self.menu(icon)?;
        let line = lines.iter().find(|line| line.label == label && line.enabled);
        let line = line.with_context(|| format!("{label:?} cannot be chosen: {lines:?}"))?;
        Ok(self.menu_of(icon)?.call_method("Event", &(line.id, "clicked", Value::I32(0), 0_u32)).map(drop)?)
    }

    fn item(&self, icon: &str) -> anyhow::Result<Proxy<'static>> {
        let name = icon.to_owned();
        let builder = zbus::blocking::proxy::Builder::<Proxy<'static>>::new(&self.connection);
        Ok(builder
            .destination(name)?
            .path("/StatusNotifierItem")?
            .interface("org.kde.StatusNotifierItem")?
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()?)
    }

    fn menu_of(&self, icon: &str) -> anyhow::Result<Proxy<'static>> {
        let place: OwnedObjectPath = self.item(icon)?.get_property("Menu")?;
        Ok(Proxy::new_owned(self.connection.clone(), icon.to_owned(), place, "com.canonical.dbusmenu".to_owned())?)
    }
}

struct TrayService(Shared<String>);

#[interface(name = "org.kde.StatusNotifierWatcher")]
impl TrayService {
    fn register_status_notifier_item(&mut self, service: String) {
        locked(&self.0).push(service);
    }

    #[zbus(property)]
    fn is_status_notifier_host_registered(&self) -> bool {
        true
    }

    #[zbus(property)]
    fn protocol_version(&self) -> i32 {
        0
    }

    #[zbus(property)]
    fn registered_status_notifier_items(&self) -> Vec<String> {
        locked(&self.0).clone()
    }
}

/// Who holds the screen saver off.
#[derive(Debug)]
pub struct ScreenSaver {
    connection: Connection,
    held: Shared<(u32, String)>,
}

impl ScreenSaver {
    /// Locks the screen, as far as it tells others.
    ///
    /// # Errors
    /// When the bus is gone.
    pub fn lock(&self) -> anyhow::Result<()> {
        let (path, interface) = ("/org/freedesktop/ScreenSaver", "org.freedesktop.ScreenSaver");
        Ok(self.connection.emit_signal(None::<&str>, path, interface, "ActiveChanged", &(true,))?)
    }

    /// Waits until this many hold it off; their reasons.
    ///
    /// # Errors
    /// When it does not come within `limit`.
    pub fn wait_for_held(&self, count: usize, limit: Duration) -> anyhow::Result<Vec<String>> {
        wait_for("the screen saver's state", limit, || {
            let held = locked(&self.held);
            (held.len() == count).then(|| held.iter().map(|(_, reason)| reason.clone()).collect())
        })
    }
}

struct ScreenSaverService(Shared<(u32, String)>, u32);

#[interface(name = "org.freedesktop.ScreenSaver")]
impl ScreenSaverService {
    fn inhibit(&mut self, _application_name: &str, reason: String) -> u32 {
        self.1 += 1;
        locked(&self.0).push((self.1, reason));
        self.1
    }

    fn un_inhibit(&mut self, cookie: u32) {
        locked(&self.0).retain(|(held, _)| *held != cookie);
    }
}

const PORTAL: &str = "/org/freedesktop/portal/desktop";
const SHORTCUTS: &str = "org.freedesktop.portal.GlobalShortcuts";

/// Hotkeys that a desktop gave.
#[derive(Debug)]
pub struct HotkeyPortal {
    connection: Connection,
    bound: Shared<(OwnedObjectPath, String, String)>,
}

impl HotkeyPortal {
    /// Waits until this one is bound; its preferred trigger.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub fn wait_for_bound(&self, id: &str, limit: Duration) -> anyhow::Result<String> {
        let newest =
            || locked(&self.bound).iter().rev().find(|(_, bound, _)| bound == id).map(|(.., keys)| keys.clone());
        wait_for(&format!("the hotkey {id}"), limit, newest)
    }

    /// The person presses (`true`) or lets go.
    ///
    /// # Errors
    /// When it is not bound, or the bus is gone.
    pub fn press(&self, id: &str, down: bool) -> anyhow::Result<()> {
        let found =
            locked(&self.bound).iter().rev().find(|(_, bound, _)| bound == id).map(|(session, ..)| session.clone());
        let session = found.context("this hotkey is not bound")?;
        let name = if down { "Activated" } else { "Deactivated" };
        let body = (session, id, 0_u64, HashMap::<&str, Value<'_>>::new());
        Ok(self.connection.emit_signal(None::<&str>, PORTAL, SHORTCUTS, name, &body)?)
    }
}

struct PortalService {
    bound: Shared<(OwnedObjectPath, String, String)>,
    refused: String,
}

type Options = HashMap<String, OwnedValue>;

impl PortalService {
    /// Where the answer to a call is expected, by the portal's convention.
    fn request(header: &message::Header<'_>, options: &Options) -> zbus::fdo::Result<OwnedObjectPath> {
        Self::place("request", header, options, "handle_token")
    }

    fn place(
        kind: &str,
        header: &message::Header<'_>,
        options: &Options,
        token: &str,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        let wrong = || zbus::fdo::Error::InvalidArgs(format!("{token} is missing"));
        let sender = header.sender().ok_or_else(wrong)?.trim_start_matches(':').replace('.', "_");
        let token = options.get(token).and_then(|value| text(value)).ok_or_else(wrong)?;
        OwnedObjectPath::try_from(format!("{PORTAL}/{kind}/{sender}/{token}")).map_err(|_| wrong())
    }

    async fn answer(
        emitter: &SignalEmitter<'_>,
        to: &OwnedObjectPath,
        code: u32,
        results: HashMap<&str, Value<'_>>,
    ) -> zbus::fdo::Result<()> {
        let interface = "org.freedesktop.portal.Request";
        Ok(emitter.connection().emit_signal(None::<&str>, to.as_ref(), interface, "Response", &(code, results)).await?)
    }
}

#[interface(name = "org.freedesktop.portal.GlobalShortcuts")]
impl PortalService {
    async fn create_session(
        &self,
        options: Options,
        #[zbus(header)] header: message::Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        let request = Self::request(&header, &options)?;
        let session = Self::place("session", &header, &options, "session_handle_token")?;
        let results = HashMap::from([("session_handle", Value::from(session.as_str()))]);
        Self::answer(&emitter, &request, 0, results).await?;
        Ok(request)
    }

    async fn bind_shortcuts(
        &self,
        session: ObjectPath<'_>,
        shortcuts: Vec<(String, Options)>,
        _parent_window: &str,
        options: Options,
        #[zbus(header)] header: message::Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        let request = Self::request(&header, &options)?;
        let keys =
            |options: &Options| options.get("preferred_trigger").and_then(|value| text(value)).unwrap_or_default();
        let wished: Vec<_> = shortcuts.iter().map(|(id, options)| (id.clone(), keys(options))).collect();
        if wished.iter().any(|(_, keys)| keys.contains(&self.refused)) {
            Self::answer(&emitter, &request, 1, HashMap::new()).await?;
            return Ok(request);
        }
        let given: Vec<(String, HashMap<&str, Value<'_>>)> = wished
            .iter()
            .map(|(id, keys)| {
                let words = [
                    ("description", Value::from(id.as_str())),
                    ("trigger_description", Value::from(format!("Press {keys}"))),
                ];
                (id.clone(), HashMap::from(words))
            })
            .collect();
        locked(&self.bound).extend(wished.clone().into_iter().map(|(id, keys)| (session.to_owned().into(), id, keys)));
        Self::answer(&emitter, &request, 0, HashMap::from([("shortcuts", Value::from(given))])).await?;
        Ok(request)
    }

    #[zbus(property, name = "version")]
    fn version(&self) -> u32 {
        1
    }
}
